#!/bin/sh
# Writes the verdicts where the node exporter's textfile collector reads them:
#   node_exporter --collector.textfile.directory=/var/lib/prometheus/node-exporter
# Run it from cron or a timer, as a user who may write into that folder. Alarms
# on them are in prometheus-alerts.yml.
#
# The report is replaced whole, so the collector never reads half of one; also
# when keys are rejected, since that is what the alarm is for. When no verdict
# was given at all (a locked store), the old one stays, and its age is the alarm.
set -u

folder=${1:-/var/lib/prometheus/node-exporter}

keyctl validate --no-input --quiet --max-age 10m --report openmetrics="$folder/keyctl.prom" >/dev/null
status=$?

# What needs attention without being broken: ages, consumers, rotations.
keyctl audit --quiet --max-age 24h --report openmetrics="$folder/keyctl-audit.prom" >/dev/null

exit "$status"
