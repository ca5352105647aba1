"""A client as simple as can be, that knows the paths and nothing else."""

from __future__ import annotations

import requests

PROMPT = "A red fox walks through fresh snow at dawn"


class Client:
    def __init__(self, url, api_key, user_agent="sandbox-tests/1"):
        self.url = url
        self.api = f"{url}/pictoryapis"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update({"Authorization": api_key, "User-Agent": user_agent})

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self.close()

    def close(self):
        self.session.close()

    def submit(self, **fields):
        return self.post({"prompt": PROMPT, **fields})

    def post(self, body):
        return self.session.post(f"{self.api}/v1/aistudio/videos", json=body, timeout=10)

    def submitted(self, **fields):
        """Submit and give the job id."""
        response = self.submit(**fields)
        assert response.status_code == 200, response.text
        return response.json()["data"]["jobId"]

    def job(self, job_id):
        return self.get(f"/v1/jobs/{job_id}")

    def data(self, job_id):
        return self.job(job_id).json()["data"]

    def clean(self, job_id):
        return self.session.delete(f"{self.api}/v1/jobs/{job_id}/clean", timeout=10)

    def get(self, path, **arguments):
        return self.session.get(f"{self.api}{path}", timeout=10, **arguments)

    def videos(self, **parameters):
        return self.get("/v1/aistudio/videos", params=parameters)

    def jobs(self, **parameters):
        return self.get("/v1/jobs", params=parameters)

    def ai_credits(self):
        return self.get("/v1/quota").json()["aiCredits"]
