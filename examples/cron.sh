#!/bin/sh
# What cron runs: it asks an agent, and publishes a report. In a crontab, every morning at seven:
#   0 7 * * *  cd /srv/acme && ./examples/cron.sh
set -eu

planner="-t acme -a planner -k planner_key"

# The report: each line of it is a message.
printf 'disk %s\nload %s\n' "$(df -P / | awk 'NR == 2 {print $5}')" "$(cut -d ' ' -f 1 /proc/loadavg)" |
  artcafe pub reports.host - --text $planner

# The question: it fails at once when nobody listens, and cron sends that by mail.
artcafe request agents.helper.weather '{"city": "Rome"}' --timeout 20 $planner
