#!/usr/bin/env bash
# Installs the identity providers that the tests of this folder start, from Debian's packages.
# Needs root. A provider that a release of Debian does not have is left out; its tests are
# skipped then. npm's oidc-provider comes with make, as the other packages of npm do.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

provider() {
    local name=$1
    shift
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        echo "$name cannot be installed here; its tests will be skipped" >&2
}

apt-get update -qq
provider SimpleSAMLphp simplesamlphp php-cli php-xml php-mbstring
provider LemonLDAP::NG liblemonldap-ng-portal-perl libplack-perl liblasso-perl \
    libcrypt-openssl-bignum-perl libcrypt-openssl-rsa-perl libcrypt-openssl-x509-perl \
    libemail-sender-perl libgd-securityimage-perl libhtml-template-perl libimage-magick-perl \
    libio-string-perl libstring-random-perl libunicode-string-perl libxml-simple-perl
