package dcerpc

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/apptest"
	"github.com/sluicefw/sluice/engine/packet"
)

func parser() applayer.Parser { return &Parser{} }

// pdu makes one in little endian.
func pdu(kind, flags byte, call byte, body string) string {
	n := HeaderSize + len(body)
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
		apptest.C(pdu(Request, firstFrag, 2, "\x00\x00\x00\x00\x07\x00\x0f\x00stub") + pdu(Request, lastFrag, 2, "\x00\x00\x00\x00\x07\x00\x0f\x00 data")),
		apptest.S(pdu(Response, 3, 2, "\x00\x00\x00\x00\x07\x00\x00\x00answer")),
	}
	got := apptest.Follow(t, parser(), packet.ProtoTCP, 1<<20, turns...)
	if pieces := apptest.Follow(t, parser(), packet.ProtoTCP, 1, turns...); pieces != got {
		t.Fatalf("by bytes:\n%s\nwhole:\n%s", pieces, got)
	}
	var lines []string
	for line := range strings.Lines(got) {
		if !strings.HasPrefix(line, "message_done") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	want := []string{
		"dcerpc_request to_server #0", "dcerpc_response to_client #0", "tx_done to_server #0",
		`dcerpc_request to_server #1 dcerpc.stub_data="stub" dcerpc.iface="\x124Vx\x124\xab\xcd\xef\x00\x01#Eg\x89\xac\x00\x01\x00\x00"`,
		`dcerpc_request to_server #1 dcerpc.stub_data="stub data" dcerpc.iface="\x124Vx\x124\xab\xcd\xef\x00\x01#Eg\x89\xac\x00\x01\x00\x00"`,
		`dcerpc_response to_client #1 dcerpc.stub_data="stub data" dcerpc.stub_data="\x00\x00\x00\x00\a\x00\x00\x00answer"`, "tx_done to_server #1",
	}
	if len(lines) != len(want) {
		t.Fatalf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("got\n%s\nwant\n%s", lines[i], want[i])
		}
	}
}

// Stub data is kept up to a limit, and counted to its end.
func TestLongStub(t *testing.T) {
	p := &Parser{}
	p.Reset(packet.ProtoTCP)
	const calls = 1200 // of 1000 bytes each
	var out applayer.Sink
	for range calls {
		p.Data(&out, packet.ToServer, []byte(pdu(Request, 3, 1, "\x00\x00\x00\x00\x00\x00\x00\x00"+strings.Repeat("x", 1000))))
	}
	if tx := p.txs.Live[0]; len(tx.stub[0]) != maxHeld || tx.StubSize[0] != calls*1000 || p.Memory() > MaxMemory {
		t.Errorf("%d of %d bytes, %d held", len(tx.stub[0]), tx.StubSize[0], p.Memory())
	}
	p.Reset(packet.ProtoTCP)
	if p.held != 0 || p.Memory() > 100<<10 {
		t.Errorf("%d bytes held, %d of them stub data, after a reset", p.Memory(), p.held)
	}
}

// Open calls are bounded: the oldest is given up, and logged.
func TestManyCalls(t *testing.T) {
	p := &Parser{}
	p.Reset(packet.ProtoTCP)
	var out applayer.Sink
	done := 0
	for i := range maxTxs + 10 {
		b := []byte(pdu(Request, 3, 0, "\x00\x00\x00\x00\x00\x00\x00\x00stub"))
		b[12], b[13] = byte(i), byte(i>>8)
		p.Data(&out, packet.ToServer, b)
		for ev := range out.Take {
			if ev.Hook == applayer.TxDone {
				done++
			}
		}
		p.Release()
	}
	if done != 10 || len(p.txs.Live) != maxTxs {
		t.Errorf("%d done, %d open", done, len(p.txs.Live))
	}
	for dir := packet.ToServer; dir <= packet.ToClient; dir++ {
		p.End(&out, dir)
	}
	ended := 0
	for range out.Take {
		ended++
	}
	if ended != maxTxs {
		t.Errorf("%d of %d calls are logged at the end", ended, maxTxs)
	}
}

// After a gap the next PDU is found, and what may have been in it is not waited for.
func TestGap(t *testing.T) {
	p := &Parser{}
	p.Reset(packet.ProtoTCP)
	var out applayer.Sink
	p.Data(&out, packet.ToServer, []byte(pdu(Request, 3, 1, "\x00\x00\x00\x00\x00\x00\x00\x00stub")))
	p.Gap(&out, packet.ToClient, 100)
	data := []byte("rest" + pdu(Response, 3, 7, "12345678stub"))
	for len(data) > 0 {
		n := p.Data(&out, packet.ToClient, data)
		if n == 0 {
			t.Fatalf("%d bytes left", len(data))
		}
		data = data[n:]
	}
	var hooks []applayer.Hook
	for ev := range out.Take {
		hooks = append(hooks, ev.Hook)
	}
	want := []applayer.Hook{applayer.DCERPCRequest, applayer.MessageDone, applayer.TxDone, applayer.DCERPCResponse, applayer.MessageDone}
	if !slices.Equal(hooks, want) {
		t.Errorf("got %v, want %v", hooks, want)
	}
}

// datagram makes a connectionless request or answer, big endian.
func datagram(kind byte, sequence byte, body string) string {
	b := make([]byte, udpHeader)
	b[0], b[1] = 4, kind
	copy(b[40:], "activity--------")
	b[67], b[69], b[75] = sequence, 3, byte(len(body))
	return string(b) + body
}

func TestDatagrams(t *testing.T) {
	got := apptest.Follow(t, parser(), packet.ProtoUDP, 0,
		apptest.C(datagram(Request, 1, "ask")), apptest.C(datagram(Request, 2, "ask again")), apptest.S(datagram(Response, 1, "answer")))
	want := `dcerpc_request to_server #0 dcerpc.stub_data="ask" dcerpc.opnum=3 dcerpc.opnum=3
dcerpc_request to_server #1 dcerpc.stub_data="ask again" dcerpc.opnum=3 dcerpc.opnum=3
dcerpc_response to_client #0 dcerpc.stub_data="ask" dcerpc.stub_data="answer" dcerpc.opnum=3 dcerpc.opnum=3
tx_done to_server #0 dcerpc.stub_data="ask" dcerpc.stub_data="answer" dcerpc.opnum=3 dcerpc.opnum=3
tx_done to_server #1 dcerpc.stub_data="ask again" dcerpc.opnum=3 dcerpc.opnum=3
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func FuzzDatagrams(f *testing.F) {
	apptest.FuzzDatagrams(f, parser, MaxMemory,
		[2]string{datagram(Request, 1, "ask"), datagram(Response, 1, "answer")}, [2]string{datagram(Request, 0, ""), datagram(Fault, 0, "")})
}

func FuzzDCERPC(f *testing.F) {
	apptest.Fuzz(f, parser, MaxMemory,
		[2]string{pdu(Bind, 3, 1, bindBody) + pdu(Request, 3, 2, "\x00\x00\x00\x00\x07\x00\x0f\x00stub"), pdu(BindAck, 3, 1, ackBody) + pdu(Response, 3, 2, "12345678answer")},
		[2]string{pdu(Request, 0, 1, "12345678"), pdu(Fault, 3, 1, "")})
}
