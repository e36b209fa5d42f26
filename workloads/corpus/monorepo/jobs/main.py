"""The jobs service."""
import json

with open("/shared/config.json") as file:
    print("jobs", json.load(file)["version"])
