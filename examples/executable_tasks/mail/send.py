#!/usr/bin/env python3
"""The task "mail/send", in Python that knows nothing of gw_sqla; it could be any language."""

import json
import os
import sys

job = os.environ["GRAPHILE_WORKER_JOB_ID"]
payload = json.load(sys.stdin)["payload"]
if "to" not in payload:
    sys.exit("the payload has no address")  # on standard error, so in the job's last_error; exit code 1
print(f"job {job}: to {payload['to']}")
