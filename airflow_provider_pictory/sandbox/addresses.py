"""Where the sandbox's three parts are: the API as at Pictory, the files, and the control surface."""

API_PREFIX = "/pictoryapis"
FILES_PREFIX = "/files"
CONTROL_PREFIX = "/sandbox"
SUBMISSION_PATH = f"{API_PREFIX}/v1/aistudio/videos"
