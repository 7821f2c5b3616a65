"""What is on disk: the models in the models' folders, whole or not."""

from inference_service.models.repository.entry import ModelEntry, folder_of
from inference_service.models.repository.files import InvalidModel
from inference_service.models.repository.folder import ModelFolder
from inference_service.models.repository.layout import IR_FILE
from inference_service.models.repository.repository import Repository, read_model
from inference_service.models.repository.sampling import SamplingDefaults
from inference_service.models.repository.settings import SETTINGS_FILE

__all__ = [
    "IR_FILE",
    "SETTINGS_FILE",
    "InvalidModel",
    "ModelEntry",
    "ModelFolder",
    "Repository",
    "SamplingDefaults",
    "folder_of",
    "read_model",
]
