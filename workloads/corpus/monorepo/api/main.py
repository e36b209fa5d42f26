"""The api service."""
import json

with open("/shared/config.json") as file:
    print("api", json.load(file)["version"])
