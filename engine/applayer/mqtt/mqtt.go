// Package mqtt reads MQTT 3.1, 3.1.1 and 5.0 over TCP.
package mqtt

import (
	"unsafe"

	"golang.org/x/crypto/cryptobyte"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

const (
	// maxBody is how long a packet's body can be that is read.
	maxBody = applayer.MaxUnconsumed - maxHeader

	maxHeader   = 5    // kind and flags, and a length of at most 4 bytes
	maxLive     = 1024 // transactions under way, as in Suricata
	maxMessages = 8    // of a transaction
	keepData    = 2 << 10
)

// Tx is a request with what answers it, or a message that nothing answers.
type Tx struct {
	applayer.TxState
	Dir      packet.Dir // of the first message
	Messages []Message
	data     []byte // of Messages
}

// Reset makes it transaction number id.
func (t *Tx) Reset(id uint64) {
	data := t.data[:0]
	if cap(data) > keepData {
		data = nil
	}
	*t = Tx{TxState: t.TxState, Messages: t.Messages[:0], data: data}
	t.TxState.Reset(id)
}

// Parser follows a connection.
type Parser struct {
	txs       applayer.Txs[Tx, *Tx]
	version   uint8
	connected bool
	skip      [2]int
	lost      [2]bool
	memory    int // about what txs hold
	done      bool
}

// Reset implements applayer.Parser.
func (p *Parser) Reset(uint8) {
	p.txs.Reset()
	p.version, p.connected, p.skip, p.lost, p.memory, p.done = 0, false, [2]int{}, [2]bool{}, 0, false
}

// Data implements applayer.Parser.
func (p *Parser) Data(out *applayer.Sink, dir packet.Dir, data []byte) (consumed int) {
	if p.lost[dir] {
		return len(data)
	}
	if n := min(p.skip[dir], len(data)); n > 0 {
		p.skip[dir] -= n
		return n
	}
	if len(data) < 2 {
		return 0
	}
	s := cryptobyte.String(data[1:])
	size, ok := varint(&s)
	if !ok {
		if len(data) >= maxHeader {
			p.fail(out, dir)
		}
		return 0
	}
	head := len(data) - len(s)
	m := Message{Kind: data[0] >> 4, Flags: data[0] & 15, Dir: dir, Version: p.version}
	if size > maxBody {
		m.Skipped, p.skip[dir] = size, size
		p.message(out, m, nil)
		return head
	}
	if len(s) < size {
		return 0
	}
	p.message(out, m, s[:size])
	return head + size
}

// message takes in one control packet.
func (p *Parser) message(out *applayer.Sink, m Message, body []byte) {
	tx, at := p.match(&m, body)
	fresh := tx == nil
	if fresh {
		if len(p.txs.Live) == maxLive {
			p.finish(out, 0)
		}
		tx = p.txs.Add()
		tx.Dir = m.Dir
		at = len(p.txs.Live) - 1
	}
	start := len(tx.data)
	p.memory += len(body) + int(unsafe.Sizeof(m))
	tx.data = append(tx.data, body...)
	if m.Skipped == 0 && !m.read(tx.data[start:]) {
		tx.Note(applayer.AnomalyMQTTMalformedTraffic)
		out.Emit(applayer.AnomalySeen, m.Dir, tx)
		p.finish(out, at)
		p.fail(out, m.Dir)
		return
	}
	tx.Messages = append(tx.Messages, m)
	if a := p.judge(&m, fresh); a != applayer.AnomalyNever && tx.Note(a) {
		out.Emit(applayer.AnomalySeen, m.Dir, tx)
	}
	hook := applayer.MQTTClientMessage
	if m.Dir == packet.ToClient {
		hook = applayer.MQTTServerMessage
	}
	out.Emit(hook, m.Dir, tx)
	if complete(tx, &m) {
		p.finish(out, at)
	}
}

// finish logs transaction i, with which nothing more is going to happen.
func (p *Parser) finish(out *applayer.Sink, i int) {
	tx := p.txs.Done(i)
	out.Emit(applayer.TxDone, tx.Dir, tx)
}

// match returns the transaction that a message belongs to, or nil for one of its own.
func (p *Parser) match(m *Message, body []byte) (tx *Tx, at int) {
	var begins uint8
	switch m.Kind {
	case Connack:
		begins = Connect
	case Puback, Pubrec, Pubrel, Pubcomp:
		begins = Publish
	case Suback:
		begins = Subscribe
	case Unsuback:
		begins = Unsubscribe
	default:
		return nil, 0
	}
	var id uint16
	s := cryptobyte.String(body)
	if m.Kind != Connack && !s.ReadUint16(&id) {
		return nil, 0
	}
	for i, tx := range p.txs.Live {
		first := &tx.Messages[0]
		if first.Kind == begins && len(tx.Messages) < maxMessages && (begins == Connect || first.HasID && first.ID == id) {
			return tx, i
		}
	}
	return nil, 0
}

// judge says what is wrong with a message, and takes in what it says about the connection. fresh
// tells that it answers nothing.
func (p *Parser) judge(m *Message, fresh bool) applayer.Anomaly {
	switch m.Kind {
	case Connect:
		p.version = m.Version
		if p.connected {
			return applayer.AnomalyMQTTDoubleConnect
		}
		return applayer.AnomalyNever
	case Connack:
		p.connected = true
		if fresh {
			return applayer.AnomalyMQTTMissingConnect
		}
		return applayer.AnomalyNever
	case 0:
		return applayer.AnomalyMQTTUnassignedMessageType
	}
	switch {
	case m.Kind == Publish && m.QoS() > 2:
		return applayer.AnomalyMQTTInvalidQosLevel
	case !p.connected && m.Kind != Auth:
		return applayer.AnomalyMQTTUnintroducedMessage
	case !fresh:
	case m.Kind == Suback:
		return applayer.AnomalyMQTTMissingSubscribe
	case m.Kind == Unsuback:
		return applayer.AnomalyMQTTMissingUnsubscribe
	case m.Kind >= Puback && m.Kind <= Pubcomp:
		return applayer.AnomalyMQTTMissingPublish
	}
	return applayer.AnomalyNever
}

// complete says whether nothing more is to come after m.
func complete(tx *Tx, m *Message) bool {
	switch m.Kind {
	case Connect, Subscribe, Unsubscribe:
		return false
	case Publish:
		return m.QoS() == 0 || m.QoS() == 3
	case Pubrec, Pubrel:
		return tx.Messages[0].Kind != Publish
	}
	return true
}

func (p *Parser) fail(out *applayer.Sink, dir packet.Dir) {
	p.done = true
	out.Emit(applayer.ParserFailed, dir, nil)
}

// Gap implements applayer.Parser: packets cannot be found again, and the other side is read on.
func (p *Parser) Gap(out *applayer.Sink, dir packet.Dir, n int) {
	if n <= p.skip[dir] {
		p.skip[dir] -= n
		return
	}
	if p.lost[dir] = true; p.lost[dir.Reverse()] {
		p.fail(out, dir)
	}
}

// End implements applayer.Parser. What waits for an answer is logged without, as much of it as
// one call can raise.
func (p *Parser) End(out *applayer.Sink, _ packet.Dir) {
	for len(p.txs.Live) > 0 && out.Room() > 1 {
		p.finish(out, 0)
	}
}

// Release implements applayer.Parser.
func (p *Parser) Release() {
	p.txs.Release()
	p.memory = 0
	for _, tx := range p.txs.Live {
		p.memory += cap(tx.data) + cap(tx.Messages)*int(unsafe.Sizeof(Message{}))
	}
}

// Done implements applayer.Parser.
func (p *Parser) Done() bool { return p.done }

// Memory implements applayer.Parser.
func (p *Parser) Memory() int {
	held, _ := p.txs.Count()
	return int(unsafe.Sizeof(*p)) + p.memory + held*int(unsafe.Sizeof(Tx{}))
}

// Last implements applayer.Parser.
func (p *Parser) Last() applayer.Tx { return p.txs.Last() }

// Name implements applayer.Parser: MQTT names no server.
func (p *Parser) Name() []byte { return nil }

// Value implements applayer.Tx. Buffers have a value for each message that has one.
func (t *Tx) Value(b applayer.Buffer, i int) (value []byte, ok bool) {
	for n := range t.Messages {
		m := &t.Messages[n]
		m.values(b, func(v []byte) bool {
			value, ok = v, i == 0
			i--
			return !ok
		})
		if ok {
			return value, true
		}
	}
	return nil, false
}

// values yields the values of a buffer in one message.
func (m *Message) values(b applayer.Buffer, yield func(v []byte) bool) {
	one := func(there bool, v []byte) {
		if there {
			yield(v)
		}
	}
	connect := m.Kind == Connect && m.Skipped == 0
	switch b {
	case applayer.MQTTProtocolString:
		one(connect, m.ProtocolName)
	case applayer.MQTTClientID:
		one(connect, m.ClientID)
	case applayer.MQTTUsername:
		one(connect && m.ConnectFlags&HasUsername != 0, m.Username)
	case applayer.MQTTPassword:
		one(connect && m.ConnectFlags&HasPassword != 0, m.Password)
	case applayer.MQTTWillTopic:
		one(connect && m.ConnectFlags&HasWill != 0, m.WillTopic)
	case applayer.MQTTWillMessage:
		one(connect && m.ConnectFlags&HasWill != 0, m.WillMessage)
	case applayer.MQTTClientPublishTopic, applayer.MQTTServerPublishTopic:
		one(m.published(b), m.Topic)
	case applayer.MQTTClientPublishMessage, applayer.MQTTServerPublishMessage:
		one(m.published(b), m.Payload)
	case applayer.MQTTSubscribeTopic, applayer.MQTTUnsubscribeTopic:
		if want := uint8(Subscribe); m.Kind == want && b == applayer.MQTTSubscribeTopic || m.Kind == Unsubscribe && b == applayer.MQTTUnsubscribeTopic {
			m.EachTopic(func(topic []byte, _ uint8) bool { return yield(topic) })
		}
	}
}

// published says whether m is published in the direction of a buffer.
func (m *Message) published(b applayer.Buffer) bool {
	return m.Kind == Publish && m.Skipped == 0 && m.Dir == b.Hook().Dir()
}

// Number implements applayer.Tx.
func (t *Tx) Number(n applayer.Number, i int) (value uint64, ok bool) {
	for k := range t.Messages {
		m := &t.Messages[k]
		if m.Dir != n.Hook().Dir() {
			continue
		}
		if value, ok = m.number(n); ok {
			if i == 0 {
				return value, true
			}
			i--
		}
	}
	return 0, false
}

func (m *Message) number(n applayer.Number) (value uint64, ok bool) {
	switch n {
	case applayer.MQTTClientType, applayer.MQTTServerType:
		return uint64(m.Kind), true
	case applayer.MQTTClientFlags, applayer.MQTTServerFlags:
		return uint64(m.Flags & 9), true
	case applayer.MQTTClientQoS, applayer.MQTTServerQoS:
		return uint64(m.QoS()), true
	case applayer.MQTTProtocolVersion:
		return uint64(m.Version), m.Kind == Connect
	case applayer.MQTTClientReason, applayer.MQTTServerReason:
		return uint64(m.Reason), m.HasReason
	case applayer.MQTTConnectFlags:
		return uint64(m.ConnectFlags), m.Kind == Connect
	case applayer.MQTTSessionPresent:
		if m.SessionKept {
			value = 1
		}
		return value, m.Kind == Connack
	}
	return 0, false
}
