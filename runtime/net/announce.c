/* Tells the neighbours where a container's addresses are now. Sources: packet(7), RFC 826, RFC 5227 section 3 (announcement: an ARP request whose
 * sender and target address are the same), RFC 4861 section 7.2.6 (unsolicited neighbour advertisement to all nodes).
 *
 * The frames are sent from inside the container's namespace, so they take the way its own packets take, and every bridge and switch on it learns; for
 * a held container they enter the bridge where the tap stands in for it. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "base/fd.h"
#include "runtime/net/announce.h"
#include "runtime/net/hold.h"
#include "runtime/net/net.h"
#include "runtime/net/nl.h"

struct arp_frame {
	struct ether_header eth;
	struct ether_arp arp;
} __attribute__((packed));

struct na_frame {
	struct ether_header eth;
	struct ip6_hdr ip;
	struct nd_neighbor_advert na;
	struct nd_opt_hdr opt;
	uint8_t mac[6];
} __attribute__((packed));

static void fill_arp(struct arp_frame *f, const uint8_t mac[6], const struct in_addr *ip)
{
	memset(f->eth.ether_dhost, 0xff, 6);
	memcpy(f->eth.ether_shost, mac, 6);
	f->eth.ether_type = htons(ETHERTYPE_ARP);
	f->arp.ea_hdr =
	    (struct arphdr){ .ar_hrd = htons(ARPHRD_ETHER), .ar_pro = htons(ETHERTYPE_IP), .ar_hln = 6, .ar_pln = 4, .ar_op = htons(ARPOP_REQUEST) };
	memcpy(f->arp.arp_sha, mac, 6);
	memcpy(f->arp.arp_spa, ip, 4);
	memset(f->arp.arp_tha, 0, 6);
	memcpy(f->arp.arp_tpa, ip, 4);
}

/* RFC 1071 over the pseudo header (RFC 8200 section 8.1) and the message. */
static uint16_t icmp6_checksum(const struct na_frame *f, size_t len)
{
	struct {
		struct in6_addr src, dst;
		uint32_t len, next;
	} pseudo = { f->ip.ip6_src, f->ip.ip6_dst, htonl((uint32_t)len), htonl(IPPROTO_ICMPV6) };
	const uint8_t *parts[] = { (const uint8_t *)&pseudo, (const uint8_t *)&f->na };
	const size_t sizes[] = { sizeof(pseudo), len };
	uint32_t sum = 0;
	for (size_t p = 0; p < 2; p++)
		for (size_t i = 0; i + 1 < sizes[p]; i += 2)
			sum += (uint32_t)(parts[p][i] << 8 | parts[p][i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void fill_na(struct na_frame *f, const uint8_t mac[6], const struct in6_addr *ip)
{
	static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	const size_t len = sizeof(f->na) + sizeof(f->opt) + sizeof(f->mac);
	memcpy(f->eth.ether_dhost, all_nodes_mac, 6);
	memcpy(f->eth.ether_shost, mac, 6);
	f->eth.ether_type = htons(ETHERTYPE_IPV6);
	f->ip.ip6_flow = htonl(6U << 28);
	f->ip.ip6_plen = htons((uint16_t)len);
	f->ip.ip6_nxt = IPPROTO_ICMPV6;
	f->ip.ip6_hlim = 255;
	f->ip.ip6_src = *ip;
	inet_pton(AF_INET6, "ff02::1", &f->ip.ip6_dst);
	f->na.nd_na_hdr.icmp6_type = ND_NEIGHBOR_ADVERT;
	f->na.nd_na_hdr.icmp6_dataun.icmp6_un_data32[0] = ND_NA_FLAG_OVERRIDE;
	f->na.nd_na_target = *ip;
	f->opt = (struct nd_opt_hdr){ .nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1 };
	memcpy(f->mac, mac, 6);
	f->na.nd_na_hdr.icmp6_cksum = icmp6_checksum(f, len);
}

/* Where a frame goes: from inside a namespace, or into the bridge at the place of a held container. */
struct way {
	int sock, ifindex;    /* sock >= 0: inside */
	const char *host_end; /* else */
};

static int send_frame(const struct way *w, const void *frame, size_t n, const char *interface, struct err *e)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = w->ifindex, .sll_halen = 6 };
	if (w->sock < 0)
		return hold_send(w->host_end, frame, n, e);
	if (sendto(w->sock, frame, n, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return err_sys(e, errno, "announce the addresses of %s", interface);
	return 0;
}

static int send_both(const struct way *w, const Davit__NetworkAttachment *a, const uint8_t mac[6], struct err *e)
{
	const char *interface = a->interface ? a->interface : "eth0";
	char plain[INET6_ADDRSTRLEN];
	struct in_addr v4;
	struct in6_addr v6;
	if (a->address && snprintf(plain, sizeof(plain), "%.*s", (int)strcspn(a->address, "/"), a->address) > 0 &&
	    inet_pton(AF_INET, plain, &v4) == 1) {
		struct arp_frame f = { 0 };
		fill_arp(&f, mac, &v4);
		if (send_frame(w, &f, sizeof(f), interface, e) < 0)
			return -1;
	}
	if (a->address6 && snprintf(plain, sizeof(plain), "%.*s", (int)strcspn(a->address6, "/"), a->address6) > 0 &&
	    inet_pton(AF_INET6, plain, &v6) == 1) {
		struct na_frame f = { 0 };
		fill_na(&f, mac, &v6);
		if (send_frame(w, &f, sizeof(f), interface, e) < 0)
			return -1;
	}
	return 0;
}

static int announce_inside(int sock, const Davit__NetworkAttachment *a, struct err *e)
{
	struct ifreq r = { 0 };
	const char *interface = a->interface ? a->interface : "eth0";
	struct way w = { .sock = sock };
	uint8_t mac[6];
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", interface);
	if (ioctl(sock, SIOCGIFINDEX, &r) < 0)
		return err_sys(e, errno, "network interface %s of the container", interface);
	w.ifindex = r.ifr_ifindex;
	if (ioctl(sock, SIOCGIFHWADDR, &r) < 0)
		return err_sys(e, errno, "MAC of %s", interface);
	memcpy(mac, r.ifr_hwaddr.sa_data, 6);
	return send_both(&w, a, mac, e);
}

int net_announce(const Davit__RuntimeNetwork *n, int netns_fd, struct err *e)
{
	if (!n->n_attachments)
		return 0;
	auto_close int sock = nl_socket_in(netns_fd, AF_PACKET, SOCK_RAW, 0, e); /* protocol 0: sends only */
	if (sock < 0)
		return -1;
	for (size_t i = 0; i < n->n_attachments; i++)
		if (announce_inside(sock, n->attachments[i], e) < 0)
			return -1;
	return 0;
}

int announce_held(const Davit__NetworkAttachment *a, const char *host_end, struct err *e)
{
	const struct way w = { .sock = -1, .host_end = host_end };
	unsigned m[6];
	uint8_t mac[6];
	if (!a->mac || sscanf(a->mac, "%2x:%2x:%2x:%2x:%2x:%2x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6)
		return 0; /* not known from outside: the bridge floods to where it has not learned */
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)m[i];
	return send_both(&w, a, mac, e);
}
