"""The command line of OpenVINO-Server."""
