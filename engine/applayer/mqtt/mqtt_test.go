package mqtt

import (
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/apptest"
	"github.com/sluicefw/sluice/engine/packet"
)

func parser() applayer.Parser { return &Parser{} }

// Messages of MQTT 5: fixed header, length, then what their section says.
const (
	connect = "\x10\x19\x00\x04MQTT\x05\xc2\x00\x3c\x03\x21\x00\x14\x00\x02id\x00\x01u\x00\x02pw"
	connack = "\x20\x03\x00\x00\x00"
	publish = "\x32\x0a\x00\x01t\x00\x07\x00text" // QoS 1, number 7
	puback  = "\x40\x02\x00\x07"
	ping    = "\xc0\x00"
)

func TestConversation(t *testing.T) {
	turns := []apptest.Turn{apptest.C(connect), apptest.S(connack), apptest.C(publish), apptest.S(puback), apptest.C(ping)}
	got := apptest.Follow(t, parser(), packet.ProtoTCP, 1<<20, turns...)
	if pieces := apptest.Follow(t, parser(), packet.ProtoTCP, 1, turns...); pieces != got {
		t.Fatalf("by bytes:\n%s\nwhole:\n%s", pieces, got)
	}
	want := []string{
		`mqtt_client_message to_server #0 mqtt.connect.protocol_string="MQTT" mqtt.connect.clientid="id" mqtt.connect.username="u" mqtt.connect.password="pw"`,
		"mqtt_server_message to_client #0", "tx_done to_server #0",
		`mqtt_client_message to_server #1 mqtt.publish.topic="t" mqtt.publish.message="text"`,
		"mqtt_server_message to_client #1", "tx_done to_server #1",
		"mqtt_client_message to_server #2", "tx_done to_server #2",
	}
	lines := strings.Split(strings.TrimSpace(got), "\n")
	for i := range want {
		if len(lines) != len(want) || !strings.HasPrefix(lines[i], want[i]) {
			t.Fatalf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
	}
}

func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		turns []apptest.Turn
		want  string
	}{
		"publish first":     {[]apptest.Turn{apptest.C(publish)}, "mqtt.unintroduced_message"},
		"answer to nothing": {[]apptest.Turn{apptest.S(connack)}, "mqtt.missing_connect"},
		"two connects":      {[]apptest.Turn{apptest.C(connect), apptest.S(connack), apptest.C(connect)}, "mqtt.double_connect"},
		"QoS 3":             {[]apptest.Turn{apptest.C(connect), apptest.S(connack), apptest.C("\x36" + publish[1:])}, "mqtt.invalid_qos_level"},
		"no body":           {[]apptest.Turn{apptest.C("\x10\x00")}, "mqtt.malformed_traffic"},
		"endless length":    {[]apptest.Turn{apptest.C("\x10\xff\xff\xff\xff\xff")}, "parser_failed"},
	} {
		if got := apptest.Follow(t, parser(), packet.ProtoTCP, 3, test.turns...); !strings.Contains(got, test.want) {
			t.Errorf("%s: no %s in\n%s", name, test.want, got)
		}
	}
}

// A body that is too long is passed over, and what follows is read.
func TestLongBody(t *testing.T) {
	long := "\x30\x80\x80\x08" + strings.Repeat("x", 128<<10) + ping
	got := apptest.Follow(t, parser(), packet.ProtoTCP, 1000, apptest.C(connect), apptest.S(connack), apptest.C(long))
	if strings.Contains(got, "failed") || strings.Count(got, "tx_done") != 3 {
		t.Errorf("got\n%s", got)
	}
}

func FuzzMQTT(f *testing.F) {
	apptest.Fuzz(f, parser, 1<<20, [2]string{connect + publish + ping, connack + puback},
		[2]string{connect + "\x82\x06\x00\x01\x00\x00\x01a\x00\xe0\x01\x04", "\x90\x04\x00\x01\x00\x00\xb0\x04\x00\x02\x00\x11"})
}

func FuzzProperties(f *testing.F) {
	f.Add([]byte("\x01\x01\x26\x00\x01a\x00\x01b\x0b\xff\x01\x21\x00\x14"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		EachProperty(b, func(p Property) bool {
			n += 2
			return true
		})
		if n > len(b) {
			t.Errorf("%d properties in %d bytes", n/2, len(b))
		}
	})
}
