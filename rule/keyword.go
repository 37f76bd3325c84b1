package rule

import (
	"slices"
	"strings"
)

// Kind says what a keyword does to the options around it.
type Kind uint8

const (
	KindPlain          Kind = iota // stands for itself: sid, flow, pcre, ...
	KindContent                    // holds a pattern: content, uricontent
	KindModifier                   // changes the content before it: nocase, depth, ...
	KindBufferModifier             // names the buffer of the content before it: http_uri, ...
	KindStickyBuffer               // names the buffer of what follows: http.uri, tls.sni, ...
	KindTransform                  // changes the buffer named just before it: dotprefix, ...
)

// Arity says whether a keyword takes an argument.
type Arity uint8

const (
	ArgNone Arity = iota
	ArgRequired
	ArgOptional
)

// Keyword describes one keyword of the language.
type Keyword struct {
	Name    string   // canonical spelling, as in Option.Name
	Aliases []string // other spellings, older ones mostly
	Kind    Kind
	Arity   Arity
	Buffer  string // canonical name of the buffer that a sticky buffer or buffer modifier names, else ""

	quotes   quotes
	inspects bool // looks into the current buffer, and so gives a sticky buffer its purpose
}

// quotes says whether an argument stands in quotes.
type quotes uint8

const (
	quotesNone quotes = iota
	quotesMay
	quotesMust
)

// Known returns the keyword of that name or alias, in any case of letters,
// and whether there is one.
func Known(name string) (Keyword, bool) {
	i, ok := keywordIndex[strings.ToLower(name)]
	if !ok {
		return Keyword{}, false
	}
	return keywords[i], true
}

// Keywords returns every keyword of the language, by name. The slice is the
// caller's, the aliases inside are shared and not to be changed.
func Keywords() []Keyword {
	all := slices.Clone(keywords)
	slices.SortFunc(all, func(a, b Keyword) int { return strings.Compare(a.Name, b.Name) })
	return all
}

var keywordIndex = func() map[string]int {
	m := make(map[string]int, 2*len(keywords))
	for i, k := range keywords {
		m[k.Name] = i
		for _, alias := range k.Aliases {
			m[alias] = i
		}
	}
	return m
}()

func flag(name string, aliases ...string) Keyword {
	return Keyword{Name: name, Aliases: aliases}
}

func arg(name string, aliases ...string) Keyword {
	return Keyword{Name: name, Aliases: aliases, Arity: ArgRequired}
}

func optional(name string, aliases ...string) Keyword {
	return Keyword{Name: name, Aliases: aliases, Arity: ArgOptional}
}

func inspector(name string, aliases ...string) Keyword {
	return Keyword{Name: name, Aliases: aliases, Arity: ArgRequired, inspects: true}
}

func quoted(q quotes, k Keyword) Keyword {
	k.quotes = q
	return k
}

func modifier(name string, arity Arity) Keyword {
	return Keyword{Name: name, Kind: KindModifier, Arity: arity}
}

func bufferModifier(name, buffer string) Keyword {
	return Keyword{Name: name, Kind: KindBufferModifier, Buffer: buffer}
}

func sticky(name string, aliases ...string) Keyword {
	return Keyword{Name: name, Aliases: aliases, Kind: KindStickyBuffer, Buffer: name}
}

func transform(name string) Keyword {
	return Keyword{Name: name, Kind: KindTransform}
}

// keywords holds the keywords of Suricata 7.0 in the order of its user guide,
// then those that AWS Network Firewall adds.
var keywords = []Keyword{
	// Meta.
	{Name: "msg", Arity: ArgRequired, quotes: quotesMust},
	arg("sid"), arg("rev"), arg("gid"), arg("classtype"), arg("reference"), arg("priority"),
	arg("metadata"), arg("target"), arg("requires"),

	// IP header.
	arg("ttl"), arg("ipopts"), flag("sameip"), quoted(quotesMay, arg("ip_proto")), arg("l3_proto"), arg("id"),
	arg("fragbits"), arg("fragoffset"), quoted(quotesMay, arg("tos")), arg("geoip"),
	sticky("ipv4.hdr"), sticky("ipv6.hdr"), sticky("ip.src"), sticky("ip.dst"),
	arg("ipv4-csum"), arg("tcpv4-csum"), arg("tcpv6-csum"), arg("udpv4-csum"), arg("udpv6-csum"),
	arg("icmpv4-csum"), arg("icmpv6-csum"),

	// TCP, UDP and ICMP headers.
	arg("tcp.flags", "flags"), arg("tcp.seq", "seq"), arg("tcp.ack", "ack"), arg("tcp.window", "window"),
	arg("tcp.mss"), sticky("tcp.hdr"), sticky("udp.hdr"),
	arg("itype"), arg("icode"), arg("icmp_id"), arg("icmp_seq"),
	sticky("icmpv4.hdr"), sticky("icmpv6.hdr"), arg("icmpv6.mtu"),

	// Payload.
	{Name: "content", Kind: KindContent, Arity: ArgRequired, quotes: quotesMust, inspects: true},
	{Name: "uricontent", Kind: KindContent, Arity: ArgRequired, Buffer: "http.uri", quotes: quotesMust},
	modifier("nocase", ArgNone), modifier("depth", ArgRequired), modifier("offset", ArgRequired),
	modifier("distance", ArgRequired), modifier("within", ArgRequired),
	modifier("startswith", ArgNone), modifier("endswith", ArgNone), modifier("rawbytes", ArgNone),
	modifier("fast_pattern", ArgOptional),
	{Name: "replace", Kind: KindModifier, Arity: ArgRequired, quotes: quotesMust},
	inspector("isdataat"), inspector("bsize"), arg("dsize"),
	inspector("byte_test"), inspector("byte_math"), inspector("byte_jump"), inspector("byte_extract"),
	arg("rpc"), quoted(quotesMay, inspector("pcre")), inspector("asn1"),
	{Name: "base64_decode", Arity: ArgOptional, inspects: true}, sticky("base64_data"),
	{Name: "pkt_data", Kind: KindStickyBuffer},
	{Name: "frame", Kind: KindStickyBuffer, Arity: ArgRequired},

	// Transforms.
	transform("dotprefix"), transform("strip_whitespace"), transform("compress_whitespace"),
	transform("strip_pseudo_headers"), transform("header_lowercase"),
	transform("to_lowercase"), transform("to_uppercase"),
	transform("to_md5"), transform("to_sha1"), transform("to_sha256"), transform("url_decode"),
	{Name: "pcrexform", Kind: KindTransform, Arity: ArgRequired, quotes: quotesMust},
	{Name: "xor", Kind: KindTransform, Arity: ArgRequired, quotes: quotesMust},

	// Prefilter, flow, bits and variables.
	flag("prefilter"), arg("flow"), arg("flowbits"), arg("flowint"), arg("flowvar"), arg("pktvar"),
	arg("stream_size"), arg("flow.age"), arg("flow.pkts_toclient"), arg("flow.pkts_toserver"),
	arg("flow.bytes_toclient"), arg("flow.bytes_toserver"), flag("bypass"),
	arg("xbits"), arg("hostbits"), flag("noalert"), flag("alert"), arg("config"), arg("nfq_set_mark"),

	// HTTP.
	sticky("http.uri", "http.uri.normalized"), sticky("http.uri.raw"), sticky("http.method"),
	sticky("http.request_line", "http_request_line"), sticky("http.request_body"),
	sticky("http.header"), sticky("http.header.raw"), sticky("http.cookie"),
	sticky("http.user_agent"), sticky("http.host"), sticky("http.host.raw"),
	sticky("http.accept", "http_accept"), sticky("http.accept_lang", "http_accept_lang"),
	sticky("http.accept_enc", "http_accept_enc"), sticky("http.referer", "http_referer"),
	sticky("http.connection", "http_connection"), sticky("http.content_type", "http_content_type"),
	sticky("http.content_len", "http_content_len"), sticky("http.start", "http_start"),
	sticky("http.protocol", "http_protocol"), sticky("http.header_names", "http_header_names"),
	sticky("http.stat_msg"), sticky("http.stat_code"),
	sticky("http.response_line", "http_response_line"), sticky("http.response_body"),
	sticky("http.server"), sticky("http.location"),
	sticky("http.request_header"), sticky("http.response_header"),
	bufferModifier("http_uri", "http.uri"), bufferModifier("http_raw_uri", "http.uri.raw"),
	bufferModifier("http_method", "http.method"), bufferModifier("http_client_body", "http.request_body"),
	bufferModifier("http_header", "http.header"), bufferModifier("http_raw_header", "http.header.raw"),
	bufferModifier("http_cookie", "http.cookie"), bufferModifier("http_user_agent", "http.user_agent"),
	bufferModifier("http_host", "http.host"), bufferModifier("http_raw_host", "http.host.raw"),
	bufferModifier("http_stat_msg", "http.stat_msg"), bufferModifier("http_stat_code", "http.stat_code"),
	bufferModifier("http_server_body", "http.response_body"),
	arg("urilen"),
	arg("http2.frametype"), arg("http2.errorcode"), arg("http2.priority"), arg("http2.window"),
	arg("http2.size_update"), arg("http2.settings"), sticky("http2.header_name"),

	// Files.
	sticky("file.data", "file_data"), sticky("file.name"), sticky("file.magic"),
	quoted(quotesMay, arg("filename")), quoted(quotesMay, arg("fileext")), quoted(quotesMust, arg("filemagic")), optional("filestore"),
	arg("filemd5"), arg("filesha1"), arg("filesha256"), arg("filesize"),

	// DNS, TLS, SSH.
	sticky("dns.query", "dns_query"), arg("dns.opcode"),
	sticky("tls.cert_subject", "tls_cert_subject"), sticky("tls.cert_issuer", "tls_cert_issuer"),
	sticky("tls.cert_serial", "tls_cert_serial"), sticky("tls.cert_fingerprint", "tls_cert_fingerprint"),
	sticky("tls.sni", "tls_sni"), sticky("tls.certs", "tls_certs"),
	sticky("tls.random"), sticky("tls.random_time"), sticky("tls.random_bytes"),
	quoted(quotesMust, arg("tls.subject")), quoted(quotesMust, arg("tls.issuerdn")), quoted(quotesMust, arg("tls.fingerprint")), arg("tls.version"),
	arg("tls.cert_chain_len"), arg("tls_cert_notbefore"), arg("tls_cert_notafter"),
	flag("tls_cert_expired"), flag("tls_cert_valid"), flag("tls.store", "tls_store"),
	arg("ssl_version"), arg("ssl_state"),
	sticky("ja3.hash", "ja3_hash"), sticky("ja3.string", "ja3_string"),
	sticky("ja3s.hash"), sticky("ja3s.string"), sticky("ja4.hash", "ja4_hash"),
	sticky("ssh.proto", "ssh_proto"), sticky("ssh.software", "ssh_software"),
	quoted(quotesMay, arg("ssh.protoversion")), quoted(quotesMay, arg("ssh.softwareversion")),
	sticky("ssh.hassh", "ssh-hassh"), sticky("ssh.hassh.string", "ssh-hassh-string"),
	sticky("ssh.hassh.server", "ssh-hassh-server"),
	sticky("ssh.hassh.server.string", "ssh-hassh-server-string"),

	// Other application protocols.
	arg("modbus"), arg("cip_service"), arg("enip_command"),
	arg("dcerpc.iface", "dce_iface"), arg("dcerpc.opnum", "dce_opnum"),
	sticky("dcerpc.stub_data", "dce_stub_data"),
	arg("dhcp.leasetime"), arg("dhcp.rebinding_time"), arg("dhcp.renewal_time"),
	sticky("dnp3.data", "dnp3_data"), arg("dnp3.func", "dnp3_func"), arg("dnp3.ind", "dnp3_ind"),
	arg("dnp3.obj", "dnp3_obj"),
	arg("ftpdata_command"), flag("ftpbounce"),
	arg("krb5_msg_type"), arg("krb5_err_code"), arg("krb5.ticket_encryption"),
	sticky("krb5.cname", "krb5_cname"), sticky("krb5.sname", "krb5_sname"),
	sticky("smb.named_pipe", "smb_named_pipe"), sticky("smb.share", "smb_share"),
	sticky("smb.ntlmssp_user"), sticky("smb.ntlmssp_domain"), arg("smb.version"),
	arg("snmp.version"), arg("snmp.pdu_type"), sticky("snmp.community"), sticky("snmp.usm"),
	sticky("sip.method"), sticky("sip.uri"), sticky("sip.protocol"), sticky("sip.stat_code"),
	sticky("sip.stat_msg"), sticky("sip.request_line"), sticky("sip.response_line"),
	sticky("rfb.name"), arg("rfb.secresult"), arg("rfb.sectype"),
	arg("mqtt.protocol_version"), arg("mqtt.type"), arg("mqtt.flags"), arg("mqtt.qos"),
	arg("mqtt.reason_code", "mqtt.connack.return_code"), arg("mqtt.connack.session_present"),
	arg("mqtt.connect.flags"), sticky("mqtt.connect.clientid"), sticky("mqtt.connect.username"),
	sticky("mqtt.connect.password"), sticky("mqtt.connect.protocol_string"),
	sticky("mqtt.connect.willtopic"), sticky("mqtt.connect.willmessage"),
	sticky("mqtt.publish.topic"), sticky("mqtt.publish.message"),
	sticky("mqtt.subscribe.topic"), sticky("mqtt.unsubscribe.topic"),
	sticky("ike.init_spi"), sticky("ike.resp_spi"), sticky("ike.vendor"),
	sticky("ike.nonce_payload"), sticky("ike.key_exchange_payload"),
	arg("ike.chosen_sa_attribute"), arg("ike.exchtype"), arg("ike.key_exchange_payload_length"),
	arg("ike.nonce_payload_length"),
	sticky("quic.sni"), sticky("quic.ua"), sticky("quic.version"),
	sticky("quic.cyu.hash"), sticky("quic.cyu.string"),
	arg("nfs_procedure"), arg("nfs_version", "nfs.version"),

	// Events and protocol.
	quoted(quotesMay, arg("app-layer-protocol")), arg("app-layer-event"), arg("decode-event"), arg("engine-event"),
	arg("stream-event"),

	// Counting, reputation, data sets, scripts.
	arg("threshold"), arg("detection_filter"), arg("tag"), arg("iprep"),
	inspector("dataset"), inspector("datarep"), inspector("lua", "luajit"),

	// AWS Network Firewall.
	arg("aws_domain_category"), arg("aws_url_category"),
}

// networkProtos are the header protocols below the application layer.
var networkProtos = []string{
	"ip", "ipv4", "ipv6", "tcp", "tcp-pkt", "tcp-stream", "udp", "icmp", "icmpv4", "icmpv6", "sctp", "pkthdr",
}

// appProtos are the application protocols, in rule headers and in
// app-layer-protocol.
var appProtos = []string{
	"bittorrent-dht", "dcerpc", "dhcp", "dnp3", "dns", "enip", "ftp", "ftp-data", "http", "http1", "http2",
	"ike", "imap", "krb5", "modbus", "mqtt", "nfs", "ntp", "pgsql", "quic", "rdp",
	"rfb", "sip", "smb", "smtp", "snmp", "ssh", "telnet", "tftp", "tls",
}

// protoAliases gives the canonical names of protocols that have two.
var protoAliases = map[string]string{"ip4": "ipv4", "ip6": "ipv6", "ikev2": "ike", "ssl": "tls"}

// suggest returns the member of names that name is most likely a misspelling
// of, or "".
func suggest(name string, names func(yield func(string) bool)) string {
	const longest = 40 // no name is longer, so the work is bounded
	if len(name) > longest {
		return ""
	}
	best, least := "", 1+min(2, len(name)/3)
	for candidate := range names {
		if diff := len(candidate) - len(name); diff > least || -diff > least {
			continue // the distance is at least that
		}
		if d := editDistance(name, candidate); d < least || d == least && best != "" && candidate < best {
			best, least = candidate, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions, substitutions and swaps of
// neighbours that turn a into b (optimal string alignment).
func editDistance(a, b string) int {
	before, last, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(last[j]+1, next[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, last, next = last, next, before
	}
	return last[len(b)]
}
