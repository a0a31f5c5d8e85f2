#!/bin/sh
# The task "word_count": what it prints is logged, its exit code says whether the job is done.
#   python -m gw_sqla worker --tasks examples/executable_tasks
#   python -m gw_sqla add word_count --payload '{"text": "to be or not to be"}'
set -eu
echo "job $GRAPHILE_WORKER_JOB_ID, attempt $GRAPHILE_WORKER_JOB_ATTEMPTS: $(wc -w) words of JSON"
