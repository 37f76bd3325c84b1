package eve

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/sluicefw/sluice/engine/applayer/dns"
	"github.com/sluicefw/sluice/engine/applayer/dnswire"
)

// maxDNSRecord is about how many bytes of resource records a record holds: with compressed names
// a message can stand for many times its size.
const maxDNSRecord = 256 << 10

// dnsRecord writes part i of the records of a message, version 2 of Suricata 7: there is one for
// each question, or one for a response.
func (o *object) dnsRecord(tx *dns.Tx, i int) {
	o.open("dns")
	o.uint("version", 2)
	m := tx.Message()
	if !m.Response() {
		o.dnsQuestion(tx, i)
		o.close()
		return
	}
	o.dnsResponse(m)
	if m.Count(dnswire.Answers) > 0 {
		o.dnsRecords("answers", m, dnswire.Answers)
		o.dnsGrouped(m)
	}
	if m.Count(dnswire.Authorities) > 0 {
		o.dnsRecords("authorities", m, dnswire.Authorities)
	}
	o.close()
}

// dns writes what alerts say of a message.
func (o *object) dns(tx *dns.Tx) {
	o.open("dns")
	o.uint("version", 2)
	m := tx.Message()
	if m.Response() {
		o.open("answer")
		o.uint("version", 2)
		o.dnsResponse(m)
		o.close()
	} else {
		o.array("query")
		for i := range m.Count(dnswire.Questions) {
			o.element()
			o.openElement()
			o.dnsQuestion(tx, i)
			o.close()
		}
		o.closeArray()
	}
	o.close()
}

func (o *object) dnsQuestion(tx *dns.Tx, i int) {
	m := tx.Message()
	o.str("type", "query")
	o.uint("id", uint64(m.ID))
	name, kind := m.Question(i)
	o.dnsName("rrname", m, name)
	o.dnsType(kind)
	o.uint("tx_id", tx.ID)
	o.optBool("z", m.Z())
	o.uint("opcode", uint64(m.Opcode()))
}

func (o *object) dnsResponse(m *dnswire.Message) {
	o.str("type", "answer")
	o.uint("id", uint64(m.ID))
	o.key("flags")
	o.b = append(o.b, '"')
	o.b = append(strconv.AppendUint(o.b, uint64(m.Flags), 16), '"')
	o.optBool("qr", true)
	o.optBool("aa", m.Flags&0x400 != 0)
	o.optBool("tc", m.Flags&0x200 != 0)
	o.optBool("rd", m.Flags&0x100 != 0)
	o.optBool("ra", m.Flags&0x80 != 0)
	o.optBool("z", m.Z())
	o.uint("opcode", uint64(m.Opcode()))
	if m.Count(dnswire.Questions) > 0 {
		name, kind := m.Question(0)
		o.dnsName("rrname", m, name)
		o.dnsType(kind)
	}
	o.key("rcode")
	o.b = append(o.b, '"')
	if r := int(m.Rcode()); r < len(dnsRcodes) {
		o.b = append(o.b, dnsRcodes[r]...)
	} else {
		o.b = strconv.AppendUint(o.b, uint64(r), 10)
	}
	o.b = append(o.b, '"')
}

// dnsName writes the name at an offset of a message, and returns the offset behind it.
func (o *object) dnsName(k string, m *dnswire.Message, at int) (next int) {
	var buf [dnswire.MaxName]byte
	name, next, cut := m.AppendName(buf[:0], at)
	o.bytes(k, name)
	if cut {
		o.foreignKey(k + "_truncated")
		o.b = append(o.b, "true"...)
	}
	return next
}

func (o *object) dnsType(kind uint16) {
	o.key("rrtype")
	o.b = append(appendDNSType(append(o.b, '"'), kind), '"')
}

// appendDNSType appends the name of a record type, or its number.
func appendDNSType(b []byte, kind uint16) []byte {
	if name, ok := dnsTypes[kind]; ok {
		return append(b, name...)
	}
	return strconv.AppendUint(b, uint64(kind), 10)
}

// dnsRecords writes the records of a section. Each text of a TXT record has its own entry.
func (o *object) dnsRecords(k string, m *dnswire.Message, s dnswire.Section) {
	o.array(k)
	start := len(o.b)
	m.Records(s, func(r dnswire.Record) bool {
		texts(r, func(data []byte) {
			o.element()
			o.openElement()
			o.dnsName("rrname", m, r.Name)
			o.dnsType(r.Type)
			o.uint("ttl", uint64(r.TTL))
			o.rdata("rdata", m, r, data)
			o.close()
		})
		return len(o.b)-start < maxDNSRecord
	})
	o.closeArray()
}

// texts calls f with each text of a TXT record, with the data of others.
func texts(r dnswire.Record, f func(data []byte)) {
	if r.Type != dnswire.TypeTXT || len(r.Data) == 0 {
		f(r.Data)
		return
	}
	for data := r.Data; len(data) > 0; data = data[1+int(data[0]):] {
		f(data[1 : 1+int(data[0])])
	}
}

// rdata writes the data of a record, if there is a form for it: a text under k or an object.
func (o *object) rdata(k string, m *dnswire.Message, r dnswire.Record, data []byte) {
	switch r.Type {
	case dnswire.TypeSOA:
		o.open("soa")
		o.soa(m, r)
	case dnswire.TypeSRV:
		o.open("srv")
		o.srv(m, r)
	case dnswire.TypeSSHFP:
		o.open("sshfp")
		o.sshfp(data)
	default:
		if dnsShown(r.Type) {
			o.key(k)
			o.rdataText(m, r, data)
		}
	}
}

// dnsShown says whether the data of a record type is shown.
func dnsShown(kind uint16) bool {
	switch kind {
	case dnswire.TypeA, dnswire.TypeAAAA, dnswire.TypeNS, dnswire.TypeCNAME, dnswire.TypePTR, dnswire.TypeMX, dnswire.TypeTXT,
		dnswire.TypeNULL, dnswire.TypeSOA, dnswire.TypeSRV, dnswire.TypeSSHFP:
		return true
	}
	return false
}

// rdataText writes data that is a text.
func (o *object) rdataText(m *dnswire.Message, r dnswire.Record, data []byte) {
	var buf [dnswire.MaxName]byte
	switch r.Type {
	case dnswire.TypeA, dnswire.TypeAAAA:
		o.b = append(o.b, '"')
		if a, ok := netip.AddrFromSlice(data); ok && a.Is4() {
			o.b = a.AppendTo(o.b)
		} else if ok {
			o.b = appendGroups(o.b, data)
		}
		o.b = append(o.b, '"')
	case dnswire.TypeMX:
		name, _, _ := m.AppendName(buf[:0], r.Start+2)
		o.b = appendString(o.b, name)
	case dnswire.TypeNS, dnswire.TypeCNAME, dnswire.TypePTR:
		name, _, _ := m.AppendName(buf[:0], r.Start)
		o.b = appendString(o.b, name)
	default:
		o.b = appendString(o.b, data)
	}
}

func (o *object) soa(m *dnswire.Message, r dnswire.Record) {
	at := o.dnsName("mname", m, r.Start)
	if at = o.dnsName("rname", m, at); at-r.Start+20 <= len(r.Data) {
		b := r.Data[at-r.Start:]
		for i, k := range [...]string{"serial", "refresh", "retry", "expire", "minimum"} {
			o.uint(k, uint64(binary.BigEndian.Uint32(b[4*i:])))
		}
	}
	o.close()
}

func (o *object) srv(m *dnswire.Message, r dnswire.Record) {
	if len(r.Data) >= 6 {
		for i, k := range [...]string{"priority", "weight", "port"} {
			o.uint(k, uint64(binary.BigEndian.Uint16(r.Data[2*i:])))
		}
	}
	o.dnsName("name", m, r.Start+6)
	o.close()
}

func (o *object) sshfp(data []byte) {
	o.key("fingerprint")
	o.b = append(o.b, '"')
	for i, c := range data[2:] {
		if i > 0 {
			o.b = append(o.b, ':')
		}
		o.b = append(o.b, hexDigits[c>>4], hexDigits[c&15])
	}
	o.b = append(o.b, '"')
	o.uint("algo", uint64(data[0]))
	o.uint("type", uint64(data[1]))
	o.close()
}

// dnsGroups are the types of answers that are also listed by their type.
var dnsGroups = [...]uint16{
	dnswire.TypeA, dnswire.TypeAAAA, dnswire.TypeNS, dnswire.TypeCNAME, dnswire.TypePTR, dnswire.TypeMX, dnswire.TypeTXT,
	dnswire.TypeNULL, dnswire.TypeSOA, dnswire.TypeSRV, dnswire.TypeSSHFP,
}

func (o *object) dnsGrouped(m *dnswire.Message) {
	o.open("grouped")
	start := len(o.b)
	for _, kind := range dnsGroups {
		open := false
		m.Records(dnswire.Answers, func(r dnswire.Record) bool {
			if r.Type != kind {
				return true
			}
			if !open {
				open = true
				o.array(dnsTypes[kind])
			}
			texts(r, func(data []byte) {
				o.element()
				o.group(m, r, data)
			})
			return len(o.b)-start < maxDNSRecord
		})
		if open {
			o.closeArray()
		}
	}
	o.close()
}

func (o *object) group(m *dnswire.Message, r dnswire.Record, data []byte) {
	switch r.Type {
	case dnswire.TypeSOA:
		o.openElement()
		o.soa(m, r)
	case dnswire.TypeSRV:
		o.openElement()
		o.srv(m, r)
	case dnswire.TypeSSHFP:
		o.openElement()
		o.sshfp(data)
	default:
		o.rdataText(m, r, data)
	}
}

// dnsRcodes and dnsTypes are the names that Suricata has.
var dnsRcodes = [...]string{
	"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE",
}

var dnsTypes = map[uint16]string{
	1: "A", 2: "NS", 3: "ND", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL", 11: "WKS", 12: "PTR",
	13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 19: "X25", 20: "ISDN", 21: "RT", 22: "NSAP",
	23: "NSAPPT", 24: "SIG", 25: "KEY", 26: "PX", 27: "GPOS", 28: "AAAA", 29: "LOC", 30: "NXT", 33: "SRV", 34: "ATMA",
	35: "NAPTR", 36: "KX", 37: "CERT", 38: "A6", 39: "DNAME", 41: "OPT", 42: "APL", 43: "DS", 44: "SSHFP", 45: "IPSECKEY",
	46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 55: "HIP", 59: "CDS",
	60: "CDSNKEY", 65: "HTTPS", 99: "SPF", 249: "TKEY", 250: "TSIG", 254: "MAILA", 255: "ANY", 256: "URI",
}
