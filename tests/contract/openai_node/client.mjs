// The client as a user makes it: the address, the key and the certificate come from the environment.
// Nothing is tried twice, so that nothing hides.
import OpenAI from "openai";

export const client = new OpenAI({ maxRetries: 0, timeout: 20_000 });
export const say = (content) => [{ role: "user", content }];
