package mqtt

import (
	"golang.org/x/crypto/cryptobyte"

	"github.com/sluicefw/sluice/engine/packet"
)

// Kinds of control packets (MQTT 5.0, 2.1.2).
const (
	Connect = iota + 1
	Connack
	Publish
	Puback
	Pubrec
	Pubrel
	Pubcomp
	Subscribe
	Suback
	Unsubscribe
	Unsuback
	Pingreq
	Pingresp
	Disconnect
	Auth
)

// Bits of Message.ConnectFlags (MQTT 5.0, 3.1.2.3).
const (
	CleanSession = 0x02
	HasWill      = 0x04
	WillRetain   = 0x20
	HasPassword  = 0x40
	HasUsername  = 0x80
)

// Message is one control packet. Its slices point into the transaction's own copy of it.
type Message struct {
	Kind, Flags uint8
	Dir         packet.Dir
	Version     uint8 // of the protocol: 3, 4 or 5
	Skipped     int   // bytes of a body that is too long to be read

	Properties  []byte // of version 5, see EachProperty
	ID          uint16 // of those that have one: HasID
	HasID       bool
	Reason      uint8 // reason or return code: HasReason
	HasReason   bool
	SessionKept bool // of Connack

	ProtocolName           []byte // of Connect, as the following
	ConnectFlags           uint8
	ClientID               []byte
	WillTopic, WillMessage []byte
	WillProperties         []byte
	Username, Password     []byte
	Topic, Payload         []byte // of Publish
	list                   []byte // of Subscribe, Suback, Unsubscribe, Unsuback
}

// QoS returns the quality of service in the header.
func (m *Message) QoS() uint8 { return m.Flags >> 1 & 3 }

// Retain and Dup are the other bits of the header.
func (m *Message) Retain() bool { return m.Flags&1 != 0 }
func (m *Message) Dup() bool    { return m.Flags&8 != 0 }

// string16 reads a string with its length before it (MQTT 5.0, 1.5.4).
func string16(s *cryptobyte.String, out *[]byte) bool {
	return s.ReadUint16LengthPrefixed((*cryptobyte.String)(out))
}

// properties reads a list of properties, which earlier versions do not have.
func (m *Message) properties(s *cryptobyte.String, out *[]byte) bool {
	if m.Version < 5 {
		return true
	}
	n, ok := varint(s)
	return ok && s.ReadBytes(out, n)
}

// varint reads a variable byte integer (MQTT 5.0, 1.5.5).
func varint(s *cryptobyte.String) (n int, ok bool) {
	for shift := 0; shift < 28; shift += 7 {
		var b uint8
		if !s.ReadUint8(&b) {
			return 0, false
		}
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return n, true
		}
	}
	return 0, false
}

// read takes the body apart. It reports whether it was well-formed.
func (m *Message) read(body []byte) bool {
	s := cryptobyte.String(body)
	switch m.Kind {
	case Connect:
		return m.readConnect(&s)
	case Connack:
		var flags uint8
		if !s.ReadUint8(&flags) || !s.ReadUint8(&m.Reason) {
			return false
		}
		m.SessionKept, m.HasReason = flags&1 != 0, true
		return m.properties(&s, &m.Properties)
	case Publish:
		if !string16(&s, &m.Topic) {
			return false
		}
		if m.QoS() > 0 {
			m.HasID = s.ReadUint16(&m.ID)
			if !m.HasID {
				return false
			}
		}
		if !m.properties(&s, &m.Properties) {
			return false
		}
		m.Payload = s
		return true
	case Puback, Pubrec, Pubrel, Pubcomp:
		m.HasID = s.ReadUint16(&m.ID)
		return m.HasID && m.reason(&s)
	case Subscribe, Suback, Unsubscribe, Unsuback:
		m.HasID = s.ReadUint16(&m.ID)
		if !m.HasID || !m.properties(&s, &m.Properties) {
			return false
		}
		m.list = s
		return m.eachTopic(func([]byte, uint8) bool { return true })
	case Disconnect, Auth:
		if len(s) < 2 && m.Version == 5 {
			m.HasReason = true // none is success (MQTT 5.0, 3.14.2.1), and one alone is passed over by Suricata
			return true
		}
		return m.reason(&s)
	}
	return true
}

// reason reads what version 5 may add: a reason code, then properties.
func (m *Message) reason(s *cryptobyte.String) bool {
	if m.Version < 5 || s.Empty() {
		return true
	}
	m.HasReason = s.ReadUint8(&m.Reason)
	return s.Empty() || m.properties(s, &m.Properties)
}

func (m *Message) readConnect(s *cryptobyte.String) bool {
	var keepAlive uint16
	if !string16(s, &m.ProtocolName) || !s.ReadUint8(&m.Version) || !s.ReadUint8(&m.ConnectFlags) || !s.ReadUint16(&keepAlive) ||
		!m.properties(s, &m.Properties) || !string16(s, &m.ClientID) {
		return false
	}
	if m.ConnectFlags&HasWill != 0 && (!m.properties(s, &m.WillProperties) || !string16(s, &m.WillTopic) || !string16(s, &m.WillMessage)) {
		return false
	}
	if m.ConnectFlags&HasUsername != 0 && !string16(s, &m.Username) {
		return false
	}
	return m.ConnectFlags&HasPassword == 0 || string16(s, &m.Password)
}

// EachTopic yields the topics of Subscribe, with the quality of service that is asked for, and of
// Unsubscribe.
func (m *Message) EachTopic(yield func(topic []byte, qos uint8) bool) { m.eachTopic(yield) }

// eachTopic reports whether the list was well-formed.
func (m *Message) eachTopic(yield func(topic []byte, qos uint8) bool) bool {
	if m.Kind != Subscribe && m.Kind != Unsubscribe {
		return true
	}
	s := cryptobyte.String(m.list)
	for !s.Empty() {
		var topic []byte
		var qos uint8
		if !string16(&s, &topic) || m.Kind == Subscribe && !s.ReadUint8(&qos) {
			return false
		}
		if !yield(topic, qos) {
			break
		}
	}
	return true
}

// Codes returns what Suback and Unsuback answer for each topic.
func (m *Message) Codes() []byte {
	if m.Kind == Suback || m.Kind == Unsuback {
		return m.list
	}
	return nil
}

// Property is one of version 5 (MQTT 5.0, 2.2.2). User properties have a name of their own.
type Property struct {
	Name   string
	Own    []byte // name of a user property
	Number uint64
	Text   []byte
	IsText bool
}

// properties by their identifier: name, and 1, 2, 4 for numbers of so many bytes, 'v' for variable
// byte integers, 's' for strings and data, 'u' for user properties.
var properties = map[uint8]struct {
	name string
	form uint8
}{
	1: {"payload_format_indicator", 1}, 2: {"message_expiry_interval", 4}, 3: {"content_type", 's'}, 8: {"response_topic", 's'},
	9: {"correlation_data", 's'}, 11: {"subscription_identifier", 'v'}, 17: {"session_expiry_interval", 4},
	18: {"assigned_client_identifier", 's'}, 19: {"server_keep_alive", 2}, 21: {"authentication_method", 's'},
	22: {"authentication_data", 's'}, 23: {"request_problem_information", 1}, 24: {"will_delay_interval", 4},
	25: {"request_response_information", 1}, 26: {"response_information", 's'}, 28: {"server_reference", 's'},
	31: {"reason_string", 's'}, 33: {"receive_maximum", 2}, 34: {"topic_alias_maximum", 2}, 35: {"topic_alias", 2},
	36: {"maximum_qos", 1}, 37: {"retain_available", 1}, 38: {"", 'u'}, 39: {"maximum_packet_size", 4},
	40: {"wildcard_subscription_available", 1}, 41: {"subscription_identifiers_available", 1}, 42: {"shared_subscription_available", 1},
}

// EachProperty yields the properties in b, up to one that is malformed.
func EachProperty(b []byte, yield func(p Property) bool) {
	s := cryptobyte.String(b)
	for !s.Empty() {
		var id uint8
		s.ReadUint8(&id)
		kind, ok := properties[id]
		if !ok {
			return
		}
		p := Property{Name: kind.name}
		switch kind.form {
		case 's':
			p.IsText = true
			ok = string16(&s, &p.Text)
		case 'u':
			p.IsText = true
			ok = string16(&s, &p.Own) && string16(&s, &p.Text)
		case 'v':
			var n int
			n, ok = varint(&s)
			p.Number = uint64(n)
		default:
			var raw []byte
			ok = s.ReadBytes(&raw, int(kind.form))
			for _, c := range raw {
				p.Number = p.Number<<8 | uint64(c)
			}
		}
		if !ok || !yield(p) {
			return
		}
	}
}
