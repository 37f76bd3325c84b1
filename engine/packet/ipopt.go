package packet

// IPv4 options (IANA ip-parameters) that have a form of their own.
const (
	ipOptEnd         = 0
	ipOptNop         = 1
	ipOptRecordRoute = 7
	ipOptQuickStart  = 25
	ipOptTimestamp   = 68
	ipOptSecurity    = 130
	ipOptLooseRoute  = 131
	ipOptExtSecurity = 133
	ipOptCIPSO       = 134
	ipOptStreamID    = 136
	ipOptStrictRoute = 137
	ipOptRouterAlert = 148
)

// ipOptPadTo is what Suricata wants the length of all options to be a multiple of,
// where RFC 791 asks for 4.
const ipOptPadTo = 8

// decodeIPv4Options checks a list of options, each | type | length | value |, where
// length counts all three; the two of a single byte have the type only (RFC 791,
// 3.1). It reports false when the list is broken; an option that is wrong in
// itself is passed over.
func (p *Packet) decodeIPv4Options(b []byte) bool {
	if len(b)%ipOptPadTo != 0 {
		p.note(EventIPv4OptionPadRequired)
	}
	var seen uint16
	for len(b) > 0 {
		switch b[0] {
		case ipOptEnd:
			return true
		case ipOptNop:
			b = b[1:]
			continue
		}
		if len(b) < 2 {
			p.note(EventIPv4OptionEOLRequired)
			return true
		}
		if b[1] < 2 || int(b[1]) > len(b) {
			return p.bad(EventIPv4OptionInvalidLen)
		}
		option := b[:b[1]]
		b = b[b[1]:]
		bit, wrong := checkIPv4Option(option)
		switch {
		case bit == 0:
			p.note(EventIPv4OptionInvalid)
		case seen&bit != 0:
			p.note(EventIPv4OptionDuplicate)
		case wrong != Valid:
			p.bad(wrong)
		default:
			seen |= bit
		}
	}
	return true
}

// checkIPv4Option returns a bit for the option's type, 0 for unknown ones, and what is
// wrong with it.
func checkIPv4Option(o []byte) (bit uint16, wrong Event) {
	short := func(least int) Event {
		if len(o) < least {
			return EventIPv4OptionInvalidLen
		}
		return Valid
	}
	exactly := func(size int) Event {
		if len(o) != size {
			return EventIPv4OptionInvalidLen
		}
		return Valid
	}
	switch o[0] {
	case ipOptRecordRoute:
		return 1 << 0, checkRoute(o)
	case ipOptLooseRoute:
		return 1 << 1, checkRoute(o)
	case ipOptStrictRoute:
		return 1 << 2, checkRoute(o)
	case ipOptTimestamp:
		return 1 << 3, checkTimestamp(o)
	case ipOptCIPSO:
		return 1 << 4, checkCIPSO(o)
	case ipOptQuickStart:
		return 1 << 5, short(8)
	case ipOptSecurity:
		return 1 << 6, short(3)
	case ipOptExtSecurity:
		return 1 << 7, short(3)
	case ipOptStreamID:
		return 1 << 8, exactly(4)
	case ipOptRouterAlert:
		return 1 << 9, exactly(4)
	}
	return 0, Valid
}

// checkRoute checks a list of addresses: | type | length | pointer | addresses |.
// The pointer is the place of the next address, counted from 1.
func checkRoute(o []byte) Event {
	if len(o) < 3 {
		return EventIPv4OptionInvalidLen
	}
	at := int(o[2])
	if at < 4 || at%4 != 0 || at > len(o)+1 {
		return EventIPv4OptionMalformed
	}
	return Valid
}

// checkTimestamp checks a list of times, with addresses if the flag is 1 or 3:
// | type | length | pointer | overflow 4 | flag 4 | entries |.
func checkTimestamp(o []byte) Event {
	if len(o) < 5 {
		return EventIPv4OptionInvalidLen
	}
	at, entry := int(o[2]), 4
	if flag := o[3] & 0x0f; flag == 1 || flag == 3 {
		entry = 8
	}
	if at < 5 || (at-5)%entry != 0 || at > len(o)+1 {
		return EventIPv4OptionMalformed
	}
	return Valid
}

// checkCIPSO checks a security label (draft-ietf-cipso-ipsecurity, 3):
// | type | length | domain of interpretation 32 | tags |, each tag
// | type | length | alignment, 0 except in type 7 | ... |.
func checkCIPSO(o []byte) Event {
	if len(o) < 10 {
		return EventIPv4OptionInvalidLen
	}
	for tags := o[6:]; len(tags) > 0; {
		if len(tags) < 2 || int(tags[1]) > len(tags) {
			return EventIPv4OptionMalformed
		}
		switch tags[0] {
		case 1, 2, 5, 6, 7:
		default:
			return EventIPv4OptionMalformed
		}
		if tags[1] < 4 || tags[0] != 7 && tags[2] != 0 {
			return EventIPv4OptionMalformed
		}
		tags = tags[tags[1]:]
	}
	return Valid
}
