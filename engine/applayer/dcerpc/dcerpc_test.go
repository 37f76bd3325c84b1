package dcerpc

import (
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/apptest"
	"github.com/sluicefw/sluice/engine/packet"
)

func parser() applayer.Parser { return &Parser{} }

// pdu makes one in little endian.
func pdu(kind, flags byte, call byte, body string) string {
	n := headerSize + len(body)
	return string([]byte{5, 0, kind, flags, 0x10, 0, 0, 0, byte(n), byte(n >> 8), 0, 0, call, 0, 0, 0}) + body
}

const (
	uuid     = "\x78\x56\x34\x12\x34\x12\xcd\xab\xef\x00\x01\x23\x45\x67\x89\xac" // 12345678-1234-abcd-ef00-0123456789ac
	transfer = "\x04\x5d\x88\x8a\xeb\x1c\xc9\x11\x9f\xe8\x08\x00\x2b\x10\x48\x60\x02\x00\x00\x00"
	bindBody = "\xb8\x10\xb8\x10\x00\x00\x00\x00\x01\x00\x00\x00" + "\x07\x00\x01\x00" + uuid + "\x01\x00\x00\x00" + transfer
	ackBody  = "\xb8\x10\xb8\x10\x00\x00\x00\x00" + "\x04\x00135\x00" + "\x00\x00" + "\x01\x00\x00\x00" + "\x00\x00\x00\x00" + transfer
)

func TestCall(t *testing.T) {
	turns := []apptest.Turn{
		apptest.C(pdu(Bind, 3, 1, bindBody)), apptest.S(pdu(BindAck, 3, 1, ackBody)),
		apptest.C(pdu(Request, flagFirst, 2, "\x00\x00\x00\x00\x07\x00\x0f\x00stub") + pdu(Request, flagLast, 2, "\x00\x00\x00\x00\x07\x00\x0f\x00 data")),
		apptest.S(pdu(Response, 3, 2, "\x00\x00\x00\x00\x07\x00\x00\x00answer")),
	}
	got := apptest.Follow(t, parser(), packet.ProtoTCP, 1<<20, turns...)
	if pieces := apptest.Follow(t, parser(), packet.ProtoTCP, 1, turns...); pieces != got {
		t.Fatalf("by bytes:\n%s\nwhole:\n%s", pieces, got)
	}
	lines := strings.Split(strings.TrimSpace(got), "\n")
	want := []string{
		"dcerpc_request to_server #0", "dcerpc_response to_client #0", "tx_done to_server #0",
		`dcerpc_request to_server #1 dcerpc.stub_data="stub data" dcerpc.iface="\x124Vx\x124\xab\xcd\xef\x00\x01#Eg\x89\xac\x00\x01\x00\x00"`,
		`dcerpc_response to_client #1 dcerpc.stub_data="stub data" dcerpc.stub_data="\x00\x00\x00\x00\a\x00\x00\x00answer"`, "tx_done to_server #1",
	}
	for i := range want {
		if len(lines) != len(want) || !strings.HasPrefix(lines[i], want[i]) {
			t.Fatalf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
	}
}

// A stub is kept up to a limit, and counted to its end.
func TestLongStub(t *testing.T) {
	p := &Parser{}
	p.Reset(packet.ProtoTCP)
	for i := range 200 {
		flags := byte(0)
		if i == 0 {
			flags = flagFirst
		}
		var out applayer.Sink
		p.Data(&out, packet.ToServer, []byte(pdu(Request, flags, 1, "\x00\x00\x00\x00\x00\x00\x00\x00"+strings.Repeat("x", 1000))))
	}
	tx := p.txs.Live[0]
	if len(tx.Stub[0]) != maxStub || tx.StubSize[0] != 200_000 || tx.Fragments[0] != 200 || p.Memory() > 3*maxStub {
		t.Errorf("%d of %d bytes in %d fragments, %d held", len(tx.Stub[0]), tx.StubSize[0], tx.Fragments[0], p.Memory())
	}
}

func FuzzDCERPC(f *testing.F) {
	apptest.Fuzz(f, parser, 8<<20,
		[2]string{pdu(Bind, 3, 1, bindBody) + pdu(Request, 3, 2, "\x00\x00\x00\x00\x07\x00\x0f\x00stub"), pdu(BindAck, 3, 1, ackBody) + pdu(Response, 3, 2, "12345678answer")},
		[2]string{pdu(Request, 0, 1, "12345678"), pdu(Fault, 3, 1, "")})
}
