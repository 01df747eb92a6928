/* Peer credentials and certificates. */
#include "agent/http/auth.h"
#include <errno.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "base/mem.h"
#include "base/str.h"

#define GROUPS_MAX 256

static bool in_group(int fd, gid_t primary, gid_t group)
{
	gid_t groups[GROUPS_MAX];
	socklen_t n = sizeof(groups);

	if (group == (gid_t)-1)
		return false;
	if (primary == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) < 0)
		return false;
	for (size_t i = 0; i < n / sizeof(gid_t); i++)
		if (groups[i] == group)
			return true;
	return false;
}

int auth_unix(int fd, gid_t group, struct caller *out, struct err *e)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return err_sys(e, errno, "peer credentials");
	if (cred.uid != 0 && !in_group(fd, cred.gid, group)) {
		err_set(e, ERR_DENIED, 0, "uid %u may not use this socket", cred.uid);
		return err_remedy(e, "be root, or a member of the group that socketGroup names in davitd's configuration");
	}
	snprintf(out->name, sizeof(out->name), "uid %u", cred.uid);
	out->roles = ROLE_READER | ROLE_OPERATOR;
	return 0;
}

unsigned auth_role_of(const char *unit)
{
	if (strcmp(unit, "reader") == 0)
		return ROLE_READER;
	if (strcmp(unit, "operator") == 0)
		return ROLE_READER | ROLE_OPERATOR;
	return strcmp(unit, "peer") == 0 ? ROLE_PEER : 0;
}

static void read_subject(gnutls_x509_crt_t crt, struct caller *out)
{
	char unit[CALLER_NAME_MAX + 1];

	for (unsigned i = 0;; i++) {
		size_t n = sizeof(unit);

		if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME, i, 0, unit, &n) < 0)
			break;
		out->roles |= auth_role_of(unit);
	}
	size_t n = sizeof(out->name);
	if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, out->name, &n) < 0)
		snprintf(out->name, sizeof(out->name), "unnamed");
}

int auth_tls(gnutls_session_t session, struct caller *out, struct err *e)
{
	unsigned n = 0;
	const gnutls_datum_t *list = gnutls_certificate_get_peers(session, &n);
	gnutls_x509_crt_t crt;

	out->roles = 0;
	if (!list || n == 0)
		return err_set(e, ERR_UNAUTHENTICATED, 0, "no client certificate");
	if (gnutls_x509_crt_init(&crt) < 0)
		return err_set(e, ERR_RESOURCE, ENOMEM, "client certificate");
	if (gnutls_x509_crt_import(crt, &list[0], GNUTLS_X509_FMT_DER) < 0) {
		gnutls_x509_crt_deinit(crt);
		return err_set(e, ERR_UNAUTHENTICATED, 0, "client certificate cannot be read");
	}
	read_subject(crt, out);
	gnutls_x509_crt_deinit(crt);
	if (out->roles)
		return 0;
	err_set(e, ERR_DENIED, 0, "the certificate of %s gives no role", out->name);
	return err_remedy(e, "issue it with OU=reader, OU=operator or OU=peer in its subject");
}

/* In the handshake: a chain to our CA, valid now, meant for clients. */
static int verify(gnutls_session_t session)
{
	gnutls_typed_vdata_st want = { .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT };
	unsigned status = 0;

	if (gnutls_certificate_verify_peers(session, &want, 1, &status) < 0 || status != 0)
		return GNUTLS_E_CERTIFICATE_ERROR;
	return 0;
}

void auth_demand_certificate(gnutls_session_t session)
{
	gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
	gnutls_session_set_verify_function(session, verify);
}
