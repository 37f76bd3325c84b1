package packettest_test

import (
	"bytes"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/sluicefw/sluice/internal/packettest"
)

// TestBuilders lets gopacket read every kind of packet and verify its checksums.
func TestBuilders(t *testing.T) {
	payload := []byte("payload")
	for _, test := range []struct {
		name  string
		ip    []byte
		layer gopacket.LayerType
	}{
		{"TCP", packettest.TCP("10.0.0.1:1", "10.0.0.2:2", 0x18, 3, 4, payload, packettest.TCPOptions(3, 3, 7)), layers.LayerTypeTCP},
		{"TCP, IPv6", packettest.TCP("[2001:db8::1]:1", "[2001:db8::2]:2", 0x18, 3, 4, payload, packettest.TOS(9)), layers.LayerTypeTCP},
		{"UDP", packettest.UDP("10.0.0.1:1", "10.0.0.2:2", payload, packettest.IPOptions(1), packettest.TTL(9)), layers.LayerTypeUDP},
		{"UDP, IPv6", packettest.UDP("[2001:db8::1]:1", "[2001:db8::2]:2", payload), layers.LayerTypeUDP},
		{"echo", packettest.ICMPEcho("10.0.0.1", "10.0.0.2", true, 1, 2, payload, packettest.ID(9)), layers.LayerTypeICMPv4},
		{"echo, IPv6", packettest.ICMPEcho("2001:db8::1", "2001:db8::2", false, 1, 2, payload), layers.LayerTypeICMPv6},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := gopacket.NewPacket(packettest.Ethernet(test.ip, 5), layers.LayerTypeEthernet, gopacket.Default)
			if p.ErrorLayer() != nil || p.Layer(test.layer) == nil || p.Layer(layers.LayerTypeDot1Q) == nil {
				t.Fatalf("gopacket reads %v", p)
			}
			if l4, ok := p.Layer(test.layer).(interface {
				SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
			}); ok {
				l4.SetNetworkLayerForChecksum(p.NetworkLayer())
			}
			err, wrong := p.VerifyChecksums()
			if err != nil || len(wrong) != 0 {
				t.Errorf("checksums: %v, %v", wrong, err)
			}
			if !bytes.HasSuffix(test.ip, payload) {
				t.Error("the payload is not at the end")
			}
		})
	}
}

func TestFragments(t *testing.T) {
	for name, test := range map[string]struct {
		ip             []byte
		header, prefix int // bytes of IP header, and with what else a fragment has in front
	}{
		"IPv4": {packettest.UDP("10.0.0.1:1", "10.0.0.2:2", make([]byte, 500)), 20, 20},
		"IPv6": {packettest.UDP("[2001:db8::1]:1", "[2001:db8::2]:2", make([]byte, 500)), 40, 48},
	} {
		var body []byte
		for _, f := range packettest.Fragments(test.ip, 200) {
			if len(f) > 200 {
				t.Errorf("%s: a fragment of %d bytes", name, len(f))
			}
			p := gopacket.NewPacket(packettest.Ethernet(f), layers.LayerTypeEthernet, gopacket.NoCopy)
			if p.NetworkLayer() == nil {
				t.Fatalf("%s: gopacket reads %v", name, p)
			}
			body = append(body, f[test.prefix:]...)
		}
		if !bytes.Equal(body, test.ip[test.header:]) {
			t.Errorf("%s: the fragments do not add up", name)
		}
	}
}

func TestMistakesPanic(t *testing.T) {
	for name, f := range map[string]func(){
		"no port":       func() { packettest.UDP("10.0.0.1", "10.0.0.2:1", nil) },
		"mixed address": func() { packettest.UDP("10.0.0.1:1", "[::1]:1", nil) },
		"tiny mtu":      func() { packettest.Fragments(packettest.UDP("10.0.0.1:1", "10.0.0.2:1", nil), 27) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
