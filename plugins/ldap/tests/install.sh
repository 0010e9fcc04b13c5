#!/bin/sh
# Installs the directories that the tests of this plugin start (Debian and Ubuntu), as root.
# Only the programs: their own services are not started.
set -eu
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt-get update
apt-get install -y --no-install-recommends slapd ldap-utils samba samba-ad-dc samba-ad-provision
