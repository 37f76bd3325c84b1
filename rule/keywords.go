package rule

import "slices"

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

// of returns keywords about what parsers of application protocols find.
func of(apps appSet, from sender, ks ...Keyword) []Keyword {
	for i := range ks {
		ks[i].apps, ks[i].looks, ks[i].sender = apps, true, from
	}
	return ks
}

// about returns keywords about packets themselves.
func about(over uint8, ks ...Keyword) []Keyword {
	for i := range ks {
		ks[i].packet, ks[i].over = true, over
	}
	return ks
}

func prefiltered(ks ...Keyword) []Keyword {
	for i := range ks {
		ks[i].prefilt = true
	}
	return ks
}

// Application protocols that keywords share.
var (
	anyHTTP   = appsOf("http")
	http1     = appsOf("http1")
	http2     = appsOf("http2")
	tls       = appsOf("tls")
	tlsOrQUIC = appsOf("tls", "quic")
	fileData  = appsOf("http", "smtp", "smb", "nfs", "ftp-data")
	fileNames = appsOf("http1", "smtp", "smb", "nfs", "ftp-data")
	everyApp  = ^appSet(0)
)

// keywords holds the keywords of Suricata 7.0 in the order of its user guide, then those that AWS
// Network Firewall adds.
var keywords = slices.Concat([]Keyword{
	// Meta.
	{Name: "msg", Arity: ArgRequired, quotes: quotesMust},
	arg("sid"), arg("rev"), arg("gid"), arg("classtype"), arg("reference"), arg("priority"),
	arg("metadata"), arg("target"), arg("requires"),
},
	// IP header.
	about(0, prefiltered(arg("ttl"), arg("id"), arg("fragbits"), arg("fragoffset"))...),
	about(0, flag("sameip"), arg("ipopts"), quoted(quotesMay, arg("ip_proto")), quoted(quotesMay, arg("tos")), sticky("ipv4.hdr"), sticky("ipv6.hdr")),
	[]Keyword{
		arg("l3_proto"), arg("geoip"), sticky("ip.src"), sticky("ip.dst"),
		arg("ipv4-csum"), arg("tcpv4-csum"), arg("tcpv6-csum"), arg("udpv4-csum"), arg("udpv6-csum"),
		arg("icmpv4-csum"), arg("icmpv6-csum"),
	},

	// TCP, UDP and ICMP headers.
	about(0, prefiltered(arg("tcp.flags", "flags"), arg("tcp.seq", "seq"), arg("tcp.ack", "ack"), arg("tcp.mss"),
		arg("itype"), arg("icode"), arg("icmp_id"), arg("icmpv6.mtu"))...),
	about(0, arg("tcp.window", "window")),
	about(protoTCP, sticky("tcp.hdr")), about(protoUDP, sticky("udp.hdr")),
	prefiltered(arg("icmp_seq")),
	[]Keyword{
		{Name: "icmpv4.hdr", Kind: KindStickyBuffer, Buffer: "icmpv4.hdr", over: protoICMP},
		{Name: "icmpv6.hdr", Kind: KindStickyBuffer, Buffer: "icmpv6.hdr", over: protoICMP},
	},

	// Payload.
	[]Keyword{
		{Name: "content", Kind: KindContent, Arity: ArgRequired, quotes: quotesMust, inspects: true, prefilt: true},
		{Name: "uricontent", Kind: KindContent, Arity: ArgRequired, Buffer: "http.uri", quotes: quotesMust, apps: http1, looks: true, sender: clientSends, prefilt: true},
		modifier("nocase", ArgNone), modifier("depth", ArgRequired), modifier("offset", ArgRequired),
		modifier("distance", ArgRequired), modifier("within", ArgRequired),
		modifier("startswith", ArgNone), modifier("endswith", ArgNone), modifier("rawbytes", ArgNone),
		modifier("fast_pattern", ArgOptional),
		{Name: "replace", Kind: KindModifier, Arity: ArgRequired, quotes: quotesMust},
		inspector("isdataat"), inspector("bsize"), {Name: "absent", Arity: ArgOptional, inspects: true}, // of Suricata 8
		inspector("byte_test"), inspector("byte_math"), inspector("byte_jump"), inspector("byte_extract"),
		quoted(quotesMay, inspector("pcre")), inspector("asn1"),
		{Name: "base64_decode", Arity: ArgOptional, inspects: true}, sticky("base64_data"),
		{Name: "pkt_data", Kind: KindStickyBuffer},
		{Name: "frame", Kind: KindStickyBuffer, Arity: ArgRequired},
	},
	about(0, prefiltered(arg("dsize"))...), about(0, arg("rpc")),

	// Transforms.
	[]Keyword{
		transform("dotprefix"), transform("strip_whitespace"), transform("compress_whitespace"),
		transform("strip_pseudo_headers"), transform("header_lowercase"),
		transform("to_lowercase"), transform("to_uppercase"),
		transform("to_md5"), transform("to_sha1"), transform("to_sha256"), transform("url_decode"),
		{Name: "pcrexform", Kind: KindTransform, Arity: ArgRequired, quotes: quotesMust},
		{Name: "xor", Kind: KindTransform, Arity: ArgRequired, quotes: quotesMust},
	},

	// Prefilter, flow, bits and variables.
	prefiltered(arg("flow"), arg("stream_size")),
	about(0, prefiltered(arg("flow.age"))...),
	[]Keyword{
		flag("prefilter"), arg("flowbits"), arg("flowint"), arg("flowvar"), arg("pktvar"),
		arg("flow.pkts_toclient"), arg("flow.pkts_toserver"), arg("flow.bytes_toclient"), arg("flow.bytes_toserver"),
		flag("bypass"), arg("xbits"), arg("hostbits"), flag("noalert"), flag("alert"), arg("config"), arg("nfq_set_mark"),
	},

	httpKeywords, fileKeywords, otherAppKeywords,

	// Events and protocol.
	prefiltered(quoted(quotesMay, arg("app-layer-protocol"))),
	[]Keyword{arg("app-layer-event"), arg("decode-event"), arg("engine-event"), arg("stream-event")},

	// Counting, reputation, data sets, scripts.
	[]Keyword{
		arg("threshold"), arg("detection_filter"), arg("tag"), arg("iprep"),
		inspector("dataset"), inspector("datarep"), inspector("lua", "luajit"),
	},

	// AWS Network Firewall.
	[]Keyword{arg("aws_domain_category"), arg("aws_url_category")},
)

var httpKeywords = slices.Concat(
	of(anyHTTP, clientSends, sticky("http.uri", "http.uri.normalized"), sticky("http.uri.raw"), sticky("http.method"),
		sticky("http.request_line", "http_request_line"), sticky("http.request_body"),
		sticky("http.user_agent"), sticky("http.host"), sticky("http.host.raw"),
		sticky("http.accept", "http_accept"), sticky("http.accept_lang", "http_accept_lang"),
		sticky("http.accept_enc", "http_accept_enc"), sticky("http.referer", "http_referer"),
		sticky("http.request_header"), arg("urilen")),
	of(anyHTTP, serverSends, sticky("http.stat_msg"), sticky("http.stat_code"),
		sticky("http.response_line", "http_response_line"), sticky("http.server"), sticky("http.location"), sticky("http.response_header")),
	of(anyHTTP, anySender, sticky("http.header"), sticky("http.header.raw"), sticky("http.cookie"),
		sticky("http.connection", "http_connection"), sticky("http.content_type", "http_content_type"),
		sticky("http.content_len", "http_content_len"), sticky("http.protocol", "http_protocol"),
		sticky("http.header_names", "http_header_names"), sticky("http.response_body")),
	of(http1, anySender, sticky("http.start", "http_start"), bufferModifier("http_header", "http.header"),
		bufferModifier("http_raw_header", "http.header.raw"), bufferModifier("http_cookie", "http.cookie"),
		bufferModifier("http_server_body", "http.response_body")),
	of(http1, clientSends, bufferModifier("http_uri", "http.uri"), bufferModifier("http_raw_uri", "http.uri.raw"),
		bufferModifier("http_method", "http.method"), bufferModifier("http_client_body", "http.request_body"),
		bufferModifier("http_user_agent", "http.user_agent"),
		bufferModifier("http_host", "http.host"), bufferModifier("http_raw_host", "http.host.raw")),
	of(http1, serverSends, bufferModifier("http_stat_msg", "http.stat_msg"), bufferModifier("http_stat_code", "http.stat_code")),
	of(http2, anySender, arg("http2.frametype"), arg("http2.errorcode"), arg("http2.priority"), arg("http2.window"),
		arg("http2.size_update"), arg("http2.settings"), sticky("http2.header_name")),
)

var fileKeywords = slices.Concat(
	of(fileData, anySender, sticky("file.data", "file_data"), quoted(quotesMust, arg("filemagic")), optional("filestore"), arg("filesize"),
		arg("filemd5"), arg("filesha1"), arg("filesha256")),
	of(fileNames, anySender, sticky("file.name"), quoted(quotesMay, arg("filename")), quoted(quotesMay, arg("fileext"))),
	of(everyApp, anySender, sticky("file.magic")),
)

var otherAppKeywords = slices.Concat(
	// DNS, TLS, SSH.
	of(appsOf("dns"), clientSends, sticky("dns.query", "dns_query")),
	of(appsOf("dns"), anySender, arg("dns.opcode")),
	of(tls, anySender, sticky("tls.cert_subject", "tls_cert_subject"), sticky("tls.cert_issuer", "tls_cert_issuer"),
		sticky("tls.cert_serial", "tls_cert_serial"), sticky("tls.cert_fingerprint", "tls_cert_fingerprint"), sticky("tls.certs", "tls_certs"),
		sticky("tls.random"), sticky("tls.random_time"), sticky("tls.random_bytes"),
		quoted(quotesMust, arg("tls.subject")), quoted(quotesMust, arg("tls.issuerdn")), quoted(quotesMust, arg("tls.fingerprint")),
		arg("tls.version"), arg("ssl_version"), arg("ssl_state")),
	[]Keyword{{Name: "tls.store", Aliases: []string{"tls_store"}, apps: tls}},
	of(tls, clientSends, sticky("tls.sni", "tls_sni")),
	of(tls, serverSends, arg("tls.cert_chain_len"), arg("tls_cert_notbefore"), arg("tls_cert_notafter"),
		flag("tls_cert_expired"), flag("tls_cert_valid")),
	of(tlsOrQUIC, clientSends, sticky("ja3.hash", "ja3_hash"), sticky("ja3.string", "ja3_string"), sticky("ja4.hash", "ja4_hash")),
	of(tlsOrQUIC, serverSends, sticky("ja3s.hash"), sticky("ja3s.string")),
	of(appsOf("ssh"), anySender, sticky("ssh.proto", "ssh_proto"), sticky("ssh.software", "ssh_software"),
		quoted(quotesMay, arg("ssh.protoversion")), quoted(quotesMay, arg("ssh.softwareversion"))),
	of(appsOf("ssh"), clientSends, sticky("ssh.hassh", "ssh-hassh"), sticky("ssh.hassh.string", "ssh-hassh-string")),
	of(appsOf("ssh"), serverSends, sticky("ssh.hassh.server", "ssh-hassh-server"), sticky("ssh.hassh.server.string", "ssh-hassh-server-string")),

	// Industry, Windows, mail and files.
	of(appsOf("modbus"), clientSends, arg("modbus")),
	of(appsOf("enip"), anySender, arg("cip_service"), arg("enip_command")),
	of(appsOf("dcerpc", "smb"), anySender, arg("dcerpc.iface", "dce_iface"), arg("dcerpc.opnum", "dce_opnum"), sticky("dcerpc.stub_data", "dce_stub_data")),
	of(appsOf("dhcp"), anySender, arg("dhcp.leasetime"), arg("dhcp.rebinding_time"), arg("dhcp.renewal_time")),
	of(appsOf("dnp3"), anySender, sticky("dnp3.data", "dnp3_data"), arg("dnp3.func", "dnp3_func"), arg("dnp3.ind", "dnp3_ind"), arg("dnp3.obj", "dnp3_obj")),
	of(appsOf("ftp-data"), anySender, arg("ftpdata_command")),
	of(appsOf("ftp"), clientSends, flag("ftpbounce")),
	of(appsOf("krb5"), anySender, arg("krb5_msg_type"), arg("krb5_err_code")),
	of(appsOf("krb5"), serverSends, arg("krb5.ticket_encryption"), sticky("krb5.cname", "krb5_cname"), sticky("krb5.sname", "krb5_sname")),
	of(appsOf("smb"), clientSends, sticky("smb.named_pipe", "smb_named_pipe"), sticky("smb.share", "smb_share"),
		sticky("smb.ntlmssp_user"), sticky("smb.ntlmssp_domain")),
	of(appsOf("smb"), anySender, arg("smb.version")),
	of(appsOf("nfs"), clientSends, arg("nfs_procedure"), arg("nfs.version", "nfs_version")),

	// Management, voice, remote screens, messages, tunnels.
	of(appsOf("snmp"), anySender, arg("snmp.version"), arg("snmp.pdu_type"), sticky("snmp.community"), sticky("snmp.usm")),
	of(appsOf("sip"), clientSends, sticky("sip.method"), sticky("sip.uri"), sticky("sip.request_line")),
	of(appsOf("sip"), serverSends, sticky("sip.stat_code"), sticky("sip.stat_msg"), sticky("sip.response_line")),
	of(appsOf("sip"), anySender, sticky("sip.protocol")),
	of(appsOf("rfb"), serverSends, sticky("rfb.name")),
	of(appsOf("rfb"), clientSends, arg("rfb.sectype")),
	of(appsOf("rfb"), anySender, arg("rfb.secresult")),
	of(appsOf("mqtt"), clientSends, arg("mqtt.protocol_version"), arg("mqtt.flags"), arg("mqtt.qos"), arg("mqtt.connect.flags"),
		sticky("mqtt.connect.clientid"), sticky("mqtt.connect.username"), sticky("mqtt.connect.password"),
		sticky("mqtt.connect.protocol_string"), sticky("mqtt.connect.willtopic"), sticky("mqtt.connect.willmessage"),
		sticky("mqtt.publish.message"), sticky("mqtt.unsubscribe.topic")),
	of(appsOf("mqtt"), serverSends, arg("mqtt.connack.session_present")),
	of(appsOf("mqtt"), anySender, arg("mqtt.type"), arg("mqtt.reason_code", "mqtt.connack.return_code"),
		sticky("mqtt.publish.topic"), sticky("mqtt.subscribe.topic")),
	of(appsOf("ike"), clientSends, sticky("ike.init_spi"), sticky("ike.vendor")),
	of(appsOf("ike"), serverSends, sticky("ike.resp_spi"), arg("ike.chosen_sa_attribute")),
	of(appsOf("ike"), anySender, sticky("ike.nonce_payload"), sticky("ike.key_exchange_payload"), arg("ike.exchtype"),
		arg("ike.key_exchange_payload_length"), arg("ike.nonce_payload_length")),
	of(appsOf("quic"), clientSends, sticky("quic.sni"), sticky("quic.ua"), sticky("quic.cyu.hash"), sticky("quic.cyu.string")),
	of(appsOf("quic"), anySender, sticky("quic.version")),
)
