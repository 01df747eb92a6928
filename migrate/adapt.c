/* See adapt.h. */
#include "migrate/adapt.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "proto/pb.h"

bool adapt_in_subnet(const char *address, const char *subnet)
{
	unsigned char a[16], s[16];
	char text[64];
	const char *slash = subnet ? strchr(subnet, '/') : NULL;
	int family = address && strchr(address, ':') ? AF_INET6 : AF_INET;
	uint64_t bits;
	if (!slash || str_to_u64(slash + 1, 0, family == AF_INET6 ? 128 : 32, &bits, "subnet", NULL) < 0)
		return false;
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(address, "/"), address);
	if (inet_pton(family, text, a) != 1)
		return false;
	snprintf(text, sizeof(text), "%.*s", (int)(slash - subnet), subnet);
	if (inet_pton(family, text, s) != 1)
		return false;
	for (unsigned i = 0; i < bits; i++)
		if ((a[i / 8] ^ s[i / 8]) & (0x80 >> (i % 8)))
			return false;
	return true;
}

static const Davit__CoreNetwork *network_of(const Davit__HostFacts *f, const char *name)
{
	for (size_t i = 0; f && i < f->n_networks; i++)
		if (str_eq(f->networks[i]->name, name))
			return f->networks[i];
	return NULL;
}

bool adapt_fits(const Davit__NetworkAttachment *a, const Davit__CoreNetwork *net)
{
	return (!a->address || adapt_in_subnet(a->address, net->subnet)) && (!a->address6 || adapt_in_subnet(a->address6, net->subnet6));
}

static int set_gateway(char **field, const char *there, const char *here, struct err *e)
{
	if (!*field || !str_eq(*field, there))
		return 0;
	if (here)
		return pb_set_str(field, here, e);
	mem_freep(field);
	return 0;
}

int adapt_offer(Davit__StreamOffer *offer, const Davit__HostFacts *here, bool *resets, struct err *e)
{
	*resets = false;
	for (size_t i = 0; i < offer->spec->n_attachments; i++) {
		Davit__NetworkAttachment *a = offer->spec->attachments[i];
		const Davit__CoreNetwork *to = network_of(here, a->network), *from = network_of(offer->facts, a->network);
		if (!to)
			continue;
		if (offer->allow_tcp_reset && !adapt_fits(a, to)) {
			char **own[] = { &a->address, &a->address6, &a->gateway, &a->gateway6, &a->mac };
			for (size_t k = 0; k < ARRAY_LEN(own); k++)
				mem_freep(own[k]);
			*resets = true;
		} else if (from && (set_gateway(&a->gateway, from->gateway, to->gateway, e) < 0 ||
				    set_gateway(&a->gateway6, from->gateway6, to->gateway6, e) < 0)) {
			return -1;
		}
	}
	return 0;
}
