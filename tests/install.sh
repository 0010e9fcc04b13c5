#!/usr/bin/env bash
# Installs, from Debian's packages, the servers that `make slow` starts: identity providers,
# directories, and reverse proxies. Needs root. What a release does not have is left out, and its
# tests are skipped then. Only the programs are wanted: their own services are not started.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1

servers() {
    local name=$1
    shift
    timeout 600 apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        echo "$name cannot be installed here; its tests will be skipped" >&2
}

apt-get update -qq || echo "the lists of packages are old: the package index does not answer" >&2
servers SimpleSAMLphp simplesamlphp php-cli php-xml php-mbstring
servers LemonLDAP::NG liblemonldap-ng-portal-perl libplack-perl liblasso-perl \
    libcrypt-openssl-bignum-perl libcrypt-openssl-rsa-perl libcrypt-openssl-x509-perl \
    libemail-sender-perl libgd-securityimage-perl libhtml-template-perl libimage-magick-perl \
    libio-string-perl libstring-random-perl libunicode-string-perl libxml-simple-perl
servers OpenLDAP slapd ldap-utils
servers Samba samba samba-ad-dc samba-ad-provision
for proxy in nginx caddy haproxy apache2 lighttpd; do
    servers "$proxy" "$proxy"
done
