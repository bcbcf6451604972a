"""Opens an account with one user who has a phone, and one, the newcomer, who has no factor yet, through the API, and prints the
account's id.

make_person.py BASE OPERATOR_KEY USERNAME PASSWORD
"""

import json
import sys
import urllib.request

base, operator_key, username, password = sys.argv[1:]


def post(path, body):
    headers = {"Authorization": f"Bearer {operator_key}", "Content-Type": "application/json"}
    request = urllib.request.Request(base + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


account = post("/v1/accounts", {"name": "Alder & Pine", "plan": "business"})["id"]
person = {"username": username, "kind": "external", "password": password}
post(f"/v1/users?account={account}", {**person, "phone": "+12025550123"})
post(f"/v1/users?account={account}", {**person, "username": "newcomer"})
print(account)
