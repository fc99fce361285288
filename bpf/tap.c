//go:build ignore

// SPDX-License-Identifier: Apache-2.0

// The kernel's half of the tap: it selects packets of the control plane and
// copies them to a ring buffer. It reads and never writes a packet, and lets
// every packet go on to whoever comes next. What is in them is decoded in Go.
//
// One filter serves three hooks: TCX ingress, TCX egress, and the filter of an
// AF_PACKET socket on kernels without TCX. Each packet that is seen ends in one
// outcome, which is counted. filter_test.go holds the same filter in Go and
// compares.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TCX_NEXT -1	   /* Debian 12 has the headers of Linux 6.1, TCX came with 6.6 */
#define IPPROTO_SCTP_ 132  /* enumerators of in.h differ between systems */
#define ETH_P_QINQ_OLD 0x9100

#define MAX_PORTS 4	   /* per protocol */
#define MAX_TAGS 3	   /* VLAN tags in the frame, beside the one the device took out */
#define MAX_EXTENSIONS 8   /* IPv6 extension headers */
#define MAX_SNAP 65536	   /* a power of two, see emit() */
#define MAX_FRAGMENTS 8192 /* datagrams of which the first fragment was selected */
#define FRAGMENT_LIFE 5000000000ULL /* ns; identifications are used again */

/* What becomes of a packet. */
enum outcome {
	MATCHED,	/* selected; ends in DELIVERED or in one of LOST_… */
	DELIVERED,	/* in the ring buffer */
	LOST_FULL,	/* the ring buffer had no room */
	LOST_COPY,	/* the kernel refused to copy it */
	TRUNCATED,	/* DELIVERED, but longer than the snap length */
	OTHER_LINK,	/* not IP */
	MALFORMED,	/* headers that end early or contradict themselves */
	OTHER_TRANSPORT,/* neither UDP, TCP nor SCTP */
	OTHER_PORT,	/* no port of ours */
	OTHER_FRAGMENT,	/* a later fragment of what was not selected, or came before the first */
	USER_PLANE,	/* a G-PDU on the port of GTP-C */
	OTHER_MESSAGE,	/* a message that tells nothing about sessions or nodes */
	EMPTY,		/* a segment without data or change of state */
	OUTCOMES,
};

/* Go learns the names from the object's type information, which has only what
 * is used. */
const enum outcome *outcome_for_go __attribute__((unused));

enum direction { INGRESS, EGRESS, BOTH };

/* What the link layer puts before the network layer. */
enum link { ETHERNET, RAW };

/* Set by the loader. Ports are in host order; zero ends a list. */
const volatile __u16 gtp_ports[MAX_PORTS];
const volatile __u16 pfcp_ports[MAX_PORTS];
const volatile __u16 radius_ports[MAX_PORTS];
const volatile __u16 diameter_ports[MAX_PORTS];
const volatile __u32 snap_length;

/* Bit n: messages of type n are selected. */
struct type_set {
	__u32 word[8];
};
const volatile struct type_set gtpv1_types;
const volatile struct type_set gtpv2_types;
const volatile struct type_set pfcp_types;
const volatile struct type_set radius_codes;

/* A record of the ring buffer: this, then the packet from its IP header on. */
struct record {
	__u64 time;	/* ns, CLOCK_MONOTONIC */
	__u32 ifindex;
	__u32 length;	/* octets from the IP header to the end, of which a part may follow */
	__u32 gso_size; /* octets of payload of each of the datagrams that were joined, or 0 */
	__u16 outer_vlan, inner_vlan; /* tags (TCI), or 0 */
	__u8 direction;
	__u8 pad[7];
};

const struct record *record_for_go __attribute__((unused));

struct scratch {
	struct record head;
	__u8 data[MAX_SNAP];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 24); /* octets; set by the loader */
} ring SEC(".maps");

/* Packets by outcome. They are elements of a map, not of one value: without
 * CAP_PERFMON the verifier refuses to add an outcome to a pointer. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

/* A record is put together here, each CPU in its own: values of per-CPU maps
 * are limited to 32 KiB. The program is not interrupted by itself. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* possible CPUs; set by the loader */
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

struct fragment_key {
	__u8 source[16], destination[16];
	__u32 identification;
	__u32 protocol;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_FRAGMENTS);
	__type(key, struct fragment_key);
	__type(value, __u64); /* when the first fragment came, ns */
} fragments SEC(".maps");

/* A packet while it is looked at. */
struct packet {
	__u32 network;	 /* offset of the IP header */
	__u32 transport; /* offset of the UDP, TCP or SCTP header */
	__u32 end;	 /* offset of the end of the IP packet */
	__u16 ethertype;
	__u16 outer_vlan, inner_vlan;
	__u8 protocol;
	__u8 fragment;	 /* it is a part of a datagram */
	__u8 later;	 /* and not the first one */
	struct fragment_key key;
};

static __always_inline int load(struct __sk_buff *skb, __u32 offset, void *to, __u32 n)
{
	return bpf_skb_load_bytes(skb, offset, to, n) == 0;
}

static __always_inline int is_tag(__u16 ethertype)
{
	return ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD || ethertype == ETH_P_QINQ_OLD;
}

static __always_inline void add_tag(struct packet *p, __u16 tci)
{
	if (!p->outer_vlan)
		p->outer_vlan = tci;
	else
		p->inner_vlan = tci;
}

/* find_network finds the network layer behind the frame's header and tags. The
 * device took the outermost tag out of the frame, or left it in. */
static __always_inline int find_network(struct __sk_buff *skb, struct packet *p, enum link link)
{
	__u16 word[2];
	int i;

	p->ethertype = bpf_ntohs(skb->protocol);
	if (skb->vlan_present)
		add_tag(p, skb->vlan_tci);
	if (link == RAW)
		return 1;
	if (!load(skb, 12, word, 2))
		return 0;
	p->ethertype = bpf_ntohs(word[0]);
	p->network = ETH_HLEN;
	for (i = 0; i < MAX_TAGS && is_tag(p->ethertype); i++) {
		if (!load(skb, p->network, word, 4))
			return 0;
		add_tag(p, bpf_ntohs(word[0]));
		p->ethertype = bpf_ntohs(word[1]);
		p->network += 4;
	}
	return 1;
}

static __always_inline enum outcome parse_ipv4(struct __sk_buff *skb, struct packet *p)
{
	struct iphdr ip;
	__u32 length;
	__u16 offset;

	if (!load(skb, p->network, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return MALFORMED;
	length = bpf_ntohs(ip.tot_len);
	if (length == 0) /* joined segments beyond 64 KiB (BIG TCP) */
		length = skb->len - p->network;
	if (length < ip.ihl * 4)
		return MALFORMED;
	p->transport = p->network + ip.ihl * 4;
	p->end = p->network + length;
	p->protocol = ip.protocol;
	offset = bpf_ntohs(ip.frag_off);
	p->later = (offset & 0x1fff) != 0;
	p->fragment = (offset & 0x3fff) != 0;
	if (p->fragment) {
		__builtin_memcpy(p->key.source, &ip.saddr, 4);
		__builtin_memcpy(p->key.destination, &ip.daddr, 4);
		p->key.identification = ip.id;
		p->key.protocol = ip.protocol;
	}
	return MATCHED;
}

static __always_inline void fragment_ipv6(struct packet *p, const __u8 *header)
{
	__u16 offset = (__u16)header[2] << 8 | header[3];

	p->later = (offset & 0xfff8) != 0;
	p->fragment = (offset & 0xfff9) != 0; /* RFC 6946: an atomic fragment is whole */
	__builtin_memcpy(&p->key.identification, header + 4, 4);
	p->key.protocol = 256; /* RFC 8200: not part of the key, and no protocol of IPv4 */
}

static __always_inline enum outcome parse_ipv6(struct __sk_buff *skb, struct packet *p)
{
	struct ipv6hdr ip;
	__u8 header[8];
	int i;

	if (!load(skb, p->network, &ip, sizeof(ip)) || ip.version != 6)
		return MALFORMED;
	p->transport = p->network + sizeof(ip);
	p->end = p->transport + bpf_ntohs(ip.payload_len);
	if (ip.payload_len == 0) /* a jumbogram, or joined segments */
		p->end = skb->len;
	__builtin_memcpy(p->key.source, &ip.saddr, 16);
	__builtin_memcpy(p->key.destination, &ip.daddr, 16);
	p->protocol = ip.nexthdr;
	for (i = 0; i < MAX_EXTENSIONS; i++) {
		if (p->protocol != IPPROTO_HOPOPTS && p->protocol != IPPROTO_ROUTING && p->protocol != IPPROTO_DSTOPTS &&
		    p->protocol != IPPROTO_FRAGMENT && p->protocol != IPPROTO_AH)
			return MATCHED;
		if (!load(skb, p->transport, header, 8))
			return MALFORMED;
		if (p->protocol == IPPROTO_FRAGMENT) {
			if (p->fragment) /* a fragment of a fragment */
				return MALFORMED;
			fragment_ipv6(p, header);
			p->transport += 8;
		} else if (p->protocol == IPPROTO_AH) {
			p->transport += (header[1] + 2) * 4;
		} else {
			p->transport += (header[1] + 1) * 8;
		}
		p->protocol = header[0];
		if (p->later) /* what follows is not a header */
			return MATCHED;
	}
	return OTHER_TRANSPORT;
}

static __always_inline int among(const volatile __u16 *ports, __u16 port)
{
	int i;

	for (i = 0; i < MAX_PORTS; i++)
		if (port != 0 && ports[i] == port)
			return 1;
	return 0;
}

static __always_inline int either(const volatile __u16 *ports, const __u16 *pair)
{
	return among(ports, bpf_ntohs(pair[0])) || among(ports, bpf_ntohs(pair[1]));
}

static __always_inline enum outcome wanted(const volatile struct type_set *set, __u8 type)
{
	return set->word[type >> 5] >> (type & 31) & 1 ? MATCHED : OTHER_MESSAGE;
}

/* select_gtp looks at the version and type of the first message (3GPP TS 29.060
 * clause 6, TS 29.274 clause 5.1). */
static __always_inline enum outcome select_gtp(__u8 flags, __u8 type)
{
	switch (flags >> 5) {
	case 1:
		if (type == 255)
			return USER_PLANE;
		return wanted(&gtpv1_types, type);
	case 2:
		if (flags & 0x10) /* another message is piggybacked */
			return MATCHED;
		return wanted(&gtpv2_types, type);
	}
	return OTHER_MESSAGE;
}

static __always_inline enum outcome select_udp(struct __sk_buff *skb, struct packet *p)
{
	__u16 ports[2];
	__u8 first[2];
	int gtp, pfcp;

	if (!load(skb, p->transport, ports, 4))
		return MALFORMED;
	gtp = either(gtp_ports, ports);
	pfcp = either(pfcp_ports, ports);
	if (!gtp && !pfcp && !either(radius_ports, ports))
		return OTHER_PORT;
	if (skb->gso_segs > 1) /* several datagrams, of which only the first can be seen here */
		return MATCHED;
	if (p->transport + 10 > p->end || !load(skb, p->transport + 8, first, 2))
		return p->fragment ? MATCHED : MALFORMED;
	if (gtp)
		return select_gtp(first[0], first[1]);
	if (!pfcp)
		return wanted(&radius_codes, first[0]);
	if (first[0] & 0x04) /* TS 29.244 clause 7.2.2.1: another message follows (FO) */
		return MATCHED;
	return wanted(&pfcp_types, first[1]);
}

/* select_tcp takes what a reassembly needs: data, and what opens or closes a
 * connection. */
static __always_inline enum outcome select_tcp(struct __sk_buff *skb, struct packet *p)
{
	__u8 header[14];
	__u16 ports[2];
	__u32 data;

	if (!load(skb, p->transport, header, sizeof(header)))
		return MALFORMED;
	__builtin_memcpy(ports, header, 4);
	if (!either(diameter_ports, ports))
		return OTHER_PORT;
	data = p->transport + (header[12] >> 4) * 4;
	if (data < p->end || header[13] & 0x07) /* FIN, SYN, RST */
		return MATCHED;
	return EMPTY;
}

/* select_sctp leaves out packets of one chunk that only acknowledges or asks
 * for a sign of life (RFC 9260 clause 3.2). */
static __always_inline enum outcome select_sctp(struct __sk_buff *skb, struct packet *p)
{
	__u8 chunk[4];
	__u16 ports[2];
	__u32 end;

	if (!load(skb, p->transport, ports, 4))
		return MALFORMED;
	if (!either(diameter_ports, ports))
		return OTHER_PORT;
	if (skb->gso_segs > 1)
		return MATCHED;
	if (p->transport + 16 > p->end || !load(skb, p->transport + 12, chunk, 4))
		return p->fragment ? MATCHED : MALFORMED;
	end = p->transport + 12 + (((__u32)chunk[2] << 8 | chunk[3]) + 3) / 4 * 4;
	if (chunk[0] >= 3 && chunk[0] <= 5 && end + 4 > p->end && !p->fragment)
		return EMPTY; /* SACK, HEARTBEAT, HEARTBEAT ACK */
	return MATCHED;
}

/* select_later selects fragments that carry no ports by what their first one
 * was. */
static __always_inline enum outcome select_later(struct packet *p)
{
	__u64 *since = bpf_map_lookup_elem(&fragments, &p->key);

	if (!since || bpf_ktime_get_ns() - *since > FRAGMENT_LIFE)
		return OTHER_FRAGMENT;
	return MATCHED;
}

static __always_inline enum outcome select_packet(struct __sk_buff *skb, struct packet *p, enum link link)
{
	enum outcome o;

	if (!find_network(skb, p, link))
		return MALFORMED;
	if (p->ethertype == ETH_P_IP)
		o = parse_ipv4(skb, p);
	else if (p->ethertype == ETH_P_IPV6)
		o = parse_ipv6(skb, p);
	else
		return OTHER_LINK;
	if (o != MATCHED)
		return o;
	if (p->later)
		return select_later(p);
	if (p->protocol == IPPROTO_UDP)
		o = select_udp(skb, p);
	else if (p->protocol == IPPROTO_TCP)
		o = select_tcp(skb, p);
	else if (p->protocol == IPPROTO_SCTP_)
		o = select_sctp(skb, p);
	else
		return OTHER_TRANSPORT;
	if (o == MATCHED && p->fragment) {
		__u64 now = bpf_ktime_get_ns();
		bpf_map_update_elem(&fragments, &p->key, &now, BPF_ANY);
	}
	return o;
}

static __always_inline void count(__u32 outcome)
{
	__u64 *n = bpf_map_lookup_elem(&counts, &outcome);

	if (n)
		++*n;
}

/* emit copies a packet to the ring buffer. */
static __always_inline enum outcome emit(struct __sk_buff *skb, struct packet *p, enum direction direction)
{
	__u32 cpu = bpf_get_smp_processor_id(), n = skb->len - p->network;
	struct scratch *s = bpf_map_lookup_elem(&scratches, &cpu);

	if (!s || skb->len <= p->network)
		return LOST_COPY;
	s->head.time = bpf_ktime_get_ns();
	s->head.ifindex = skb->ifindex;
	s->head.length = n;
	s->head.gso_size = skb->gso_segs > 1 ? skb->gso_size : 0;
	s->head.outer_vlan = p->outer_vlan;
	s->head.inner_vlan = p->inner_vlan;
	s->head.direction = direction == BOTH ? skb->pkt_type == 4 /* PACKET_OUTGOING */ : direction;
	if (n > snap_length) {
		n = snap_length;
		count(TRUNCATED);
	}
	/* The verifier follows this arithmetic; comparisons clang would rewrite. */
	n -= 1;
	barrier_var(n);
	n &= MAX_SNAP - 1;
	n += 1;
	if (!load(skb, p->network, s->data, n))
		return LOST_COPY;
	if (bpf_ringbuf_output(&ring, s, sizeof(s->head) + n, 0) != 0)
		return LOST_FULL;
	return DELIVERED;
}

static __noinline int watch(struct __sk_buff *skb, enum direction direction, enum link link)
{
	struct packet p = {};
	enum outcome o = select_packet(skb, &p, link);

	if (o == MATCHED) {
		count(MATCHED);
		o = emit(skb, &p, direction);
	}
	count(o);
	return 0;
}

SEC("tcx/ingress")
int ingress(struct __sk_buff *skb)
{
	watch(skb, INGRESS, ETHERNET);
	return TCX_NEXT;
}

SEC("tcx/egress")
int egress(struct __sk_buff *skb)
{
	watch(skb, EGRESS, ETHERNET);
	return TCX_NEXT;
}

SEC("tcx/ingress")
int ingress_raw(struct __sk_buff *skb)
{
	watch(skb, INGRESS, RAW);
	return TCX_NEXT;
}

SEC("tcx/egress")
int egress_raw(struct __sk_buff *skb)
{
	watch(skb, EGRESS, RAW);
	return TCX_NEXT;
}

/* The filter of an AF_PACKET socket keeps nothing for the socket: what it
 * selects is in the ring buffer. */
SEC("socket")
int packet(struct __sk_buff *skb)
{
	watch(skb, BOTH, ETHERNET);
	return 0;
}

SEC("socket")
int packet_raw(struct __sk_buff *skb)
{
	watch(skb, BOTH, RAW);
	return 0;
}

char tap_license[] SEC("license") = "Apache-2.0";
