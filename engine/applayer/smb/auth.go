package smb

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sluicefw/sluice/engine/applayer"
)

// Object identifiers of SPNEGO (RFC 4178), NTLMSSP and Kerberos, in DER.
const (
	oidSPNEGO  = "\x06\x06\x2b\x06\x01\x05\x05\x02"
	oidNTLMSSP = "\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a"
	oidKRB5    = "\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"
)

// authenticate reads what a client says of itself in a security blob: with SPNEGO around it, or
// NTLMSSP as it is.
func (p *Parser) authenticate(tx *Tx, blob []byte) {
	s := cryptobyte.String(blob)
	var outer, token, sequence cryptobyte.String
	spnego := s.ReadASN1(&outer, asn1.Tag(0).Constructed()|0x40) && bytes.HasPrefix(outer, []byte(oidSPNEGO)) &&
		outer.Skip(len(oidSPNEGO)) && outer.ReadASN1(&token, asn1.Tag(0).ContextSpecific().Constructed()) &&
		token.ReadASN1(&sequence, asn1.SEQUENCE)
	if !spnego {
		p.ntlmssp(tx, blob)
		return
	}
	var kerberos, ntlm bool
	for !sequence.Empty() {
		var field, mechanisms, mechToken cryptobyte.String
		var tag asn1.Tag
		if !sequence.ReadAnyASN1(&field, &tag) {
			return
		}
		switch tag {
		case asn1.Tag(0).ContextSpecific().Constructed():
			if !field.ReadASN1(&mechanisms, asn1.SEQUENCE) {
				continue
			}
			kerberos = bytes.Contains(mechanisms, []byte(oidKRB5))
			ntlm = bytes.Contains(mechanisms, []byte(oidNTLMSSP))
		case asn1.Tag(2).ContextSpecific().Constructed():
			if !field.ReadASN1(&mechToken, asn1.OCTET_STRING) {
				continue
			}
			if kerberos && tx.readTicket(mechToken) {
				continue
			}
			if ntlm {
				p.ntlmssp(tx, mechToken)
			}
		}
	}
}

// readTicket reads for whom a Kerberos ticket is, from the AP-REQ that carries it (RFC 4121, 4.1;
// RFC 4120, 5.3 and 5.5.1).
func (t *Tx) readTicket(token cryptobyte.String) bool {
	context := func(n asn1.Tag) asn1.Tag { return n.ContextSpecific().Constructed() }
	application := func(n asn1.Tag) asn1.Tag { return n.Constructed() | 0x40 }
	var outer, request, ticket, realm, name, kind, names cryptobyte.String
	var version cryptobyte.String
	ok := token.ReadASN1(&outer, application(0)) && bytes.HasPrefix(outer, []byte(oidKRB5)) && outer.Skip(len(oidKRB5)+2) &&
		outer.ReadASN1(&request, application(14)) && request.ReadASN1(&request, asn1.SEQUENCE) &&
		request.SkipASN1(context(0)) && request.SkipASN1(context(1)) && request.SkipASN1(context(2)) &&
		request.ReadASN1(&ticket, context(3)) && ticket.ReadASN1(&ticket, application(1)) && ticket.ReadASN1(&ticket, asn1.SEQUENCE) &&
		ticket.ReadASN1(&version, context(0)) &&
		ticket.ReadASN1(&realm, context(1)) && realm.ReadASN1(&realm, asn1.GeneralString) &&
		ticket.ReadASN1(&name, context(2)) && name.ReadASN1(&name, asn1.SEQUENCE) &&
		name.ReadASN1(&kind, context(0)) &&
		name.ReadASN1(&names, context(1)) && names.ReadASN1(&names, asn1.SEQUENCE)
	if !ok {
		return false
	}
	t.HasTicket = true
	t.set(Realm, realm)
	t.set(ServerNames, nil)
	for !names.Empty() {
		var part cryptobyte.String
		if !names.ReadASN1(&part, asn1.GeneralString) {
			break
		}
		t.append(ServerNames, part)
		t.append(ServerNames, []byte{0})
	}
	return true
}

const (
	ntlmSignature    = "NTLMSSP\x00"
	ntlmAuthenticate = 3
	ntlmVersionFlag  = 0x02000000
)

// ntlmssp reads an AUTHENTICATE message (MS-NLMP, 2.2.1.3): from byte 12 on length, maximum and
// offset of two answers, of domain, user, host and session key, then from 60 flags and a version.
func (p *Parser) ntlmssp(tx *Tx, blob []byte) {
	_, rest, found := bytes.Cut(blob, []byte(ntlmSignature))
	if !found || len(rest) < 4 || binary.LittleEndian.Uint32(rest) != ntlmAuthenticate {
		return
	}
	m := blob[len(blob)-len(rest)-len(ntlmSignature):]
	const fixed = 64
	if len(m) < fixed {
		return
	}
	var fields [6]struct{ start, end int }
	for i := range fields {
		at := 12 + 8*i
		start := int(binary.LittleEndian.Uint32(m[at+4:]))
		fields[i].start, fields[i].end = start, start+int(binary.LittleEndian.Uint16(m[at:]))
		if start >= len(m) {
			return
		}
	}
	domain, user, host := fields[2], fields[3], fields[4]
	for _, f := range [...]struct{ start, end int }{domain, user, host} {
		if f.start < 12 || f.end > len(m) {
			return
		}
	}
	if binary.LittleEndian.Uint32(m[60:])&ntlmVersionFlag != 0 {
		if len(m) < fixed+8 {
			return
		}
		v := m[fixed:]
		tx.HasVersion = true
		tx.NTLMVersion = NTLMVersion{v[0], v[1], binary.LittleEndian.Uint16(v[2:]), v[7]}
	}
	tx.HasNTLM = true
	tx.setNarrow(NTLMDomain, m[domain.start:domain.end])
	tx.setNarrow(NTLMUser, m[user.start:user.end])
	tx.setNarrow(NTLMHost, m[host.start:host.end])
	if user.start < domain.end || host.start < user.end {
		p.noteAt(tx, applayer.AnomalySMBUnusualNTLMSSPOrder)
	}
}
