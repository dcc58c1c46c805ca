#!/bin/sh
# Writes the verdicts where the node exporter's textfile collector reads them:
#   node_exporter --collector.textfile.directory=/var/lib/prometheus/node-exporter
# Run it from cron or a timer, as a user who may write into that folder.
#
# The file is written beside its place and then moved, so that the collector
# never reads half of one; it is replaced also when keys are rejected, since
# that is what the alarm is for. When no report was written at all, the old one
# stays, and its age (node_textfile_mtime_seconds) is the alarm.
set -u

folder=${1:-/var/lib/prometheus/node-exporter}
report=$folder/keyctl.prom.$$
trap 'rm -f "$report"' EXIT

keyctl validate --no-input --quiet --max-age 10m --report openmetrics="$report" >/dev/null
status=$?

if [ -s "$report" ]; then
    chmod 644 "$report"
    mv "$report" "$folder/keyctl.prom"
fi
exit "$status"
