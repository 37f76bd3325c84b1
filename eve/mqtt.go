package eve

import "github.com/sluicefw/sluice/engine/applayer/mqtt"

var mqttKinds = [...]string{
	mqtt.Connect: "connect", mqtt.Connack: "connack", mqtt.Publish: "publish", mqtt.Puback: "puback", mqtt.Pubrec: "pubrec",
	mqtt.Pubrel: "pubrel", mqtt.Pubcomp: "pubcomp", mqtt.Subscribe: "subscribe", mqtt.Suback: "suback",
	mqtt.Unsubscribe: "unsubscribe", mqtt.Unsuback: "unsuback", mqtt.Pingreq: "pingreq", mqtt.Pingresp: "pingresp",
	mqtt.Disconnect: "disconnect", mqtt.Auth: "auth",
}

// mqtt writes an object for each message of a transaction.
func (o *object) mqtt(tx *mqtt.Tx) {
	o.open("mqtt")
	for i := range tx.Messages {
		m := &tx.Messages[i]
		if m.Kind == 0 {
			o.open("unassigned")
			o.close()
			continue
		}
		o.open(mqttKinds[m.Kind])
		o.uint("qos", uint64(m.QoS()))
		o.bool("retain", m.Retain())
		o.bool("dup", m.Dup())
		if m.Skipped > 0 {
			o.bool("truncated", true)
			o.uint("skipped_length", uint64(m.Skipped))
		} else {
			o.mqttMessage(m)
		}
		o.close()
	}
	o.close()
}

func (o *object) mqttMessage(m *mqtt.Message) {
	if m.Kind == mqtt.Connect {
		o.mqttConnect(m)
	}
	if m.Kind == mqtt.Publish {
		o.bytes("topic", m.Topic)
	}
	if m.HasID {
		o.uint("message_id", uint64(m.ID))
	}
	switch m.Kind {
	case mqtt.Connack:
		o.bool("session_present", m.SessionKept)
		o.uint("return_code", uint64(m.Reason))
	case mqtt.Publish:
		o.bytes("message", m.Payload)
	case mqtt.Subscribe:
		o.array("topics")
		m.EachTopic(func(topic []byte, qos uint8) bool {
			o.element()
			o.openElement()
			o.bytes("topic", topic)
			o.uint("qos", uint64(qos))
			o.close()
			return true
		})
		o.closeArray()
	case mqtt.Unsubscribe:
		o.array("topics")
		m.EachTopic(func(topic []byte, _ uint8) bool {
			o.element()
			o.b = appendString(o.b, topic)
			return true
		})
		o.closeArray()
	case mqtt.Suback:
		o.mqttCodes("qos_granted", m.Codes())
	case mqtt.Unsuback:
		if m.Version == 5 {
			o.mqttCodes("reason_codes", m.Codes())
		}
	default:
		if m.HasReason {
			o.uint("reason_code", uint64(m.Reason))
		}
	}
	o.mqttProperties(m.Properties)
}

func (o *object) mqttCodes(k string, codes []byte) {
	o.array(k)
	for _, c := range codes {
		o.element()
		o.uintValue(uint64(c))
	}
	o.closeArray()
}

func (o *object) mqttConnect(m *mqtt.Message) {
	o.bytes("protocol_string", m.ProtocolName)
	o.uint("protocol_version", uint64(m.Version))
	o.bytes("client_id", m.ClientID)
	o.open("flags")
	o.bool("username", m.ConnectFlags&mqtt.HasUsername != 0)
	o.bool("password", m.ConnectFlags&mqtt.HasPassword != 0)
	o.bool("will_retain", m.ConnectFlags&mqtt.WillRetain != 0)
	o.bool("will", m.ConnectFlags&mqtt.HasWill != 0)
	o.bool("clean_session", m.ConnectFlags&mqtt.CleanSession != 0)
	o.close()
	if m.ConnectFlags&mqtt.HasUsername != 0 {
		o.bytes("username", m.Username)
	}
	if m.ConnectFlags&mqtt.HasPassword != 0 {
		o.bytes("password", m.Password)
	}
	if m.ConnectFlags&mqtt.HasWill != 0 {
		o.open("will")
		o.bytes("topic", m.WillTopic)
		o.bytes("message", m.WillMessage)
		o.mqttProperties(m.WillProperties)
		o.close()
	}
}

func (o *object) mqttProperties(b []byte) {
	if len(b) == 0 {
		return
	}
	o.open("properties")
	mqtt.EachProperty(b, func(p mqtt.Property) bool {
		if p.Name == "" {
			o.foreignKey(string(p.Own))
		} else {
			o.key(p.Name)
		}
		if p.IsText {
			o.b = appendString(o.b, p.Text)
		} else {
			o.uintValue(p.Number)
		}
		return true
	})
	o.close()
}
