package smb

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/apptest"
	"github.com/sluicefw/sluice/engine/packet"
)

func parser() applayer.Parser { return &Parser{} }

var le = binary.LittleEndian

// framed puts the length before a message.
func framed(m string) string {
	return string([]byte{0, byte(len(m) >> 16), byte(len(m) >> 8), byte(len(m))}) + m
}

// command2 makes a command of SMB 2 (MS-SMB2, 2.2.1) of a tree and a session, the last of its message.
func command2(command uint16, answer bool, id uint64, status uint32, body string) string {
	b := make([]byte, header2)
	copy(b, "\xfeSMB\x40")
	le.PutUint32(b[8:], status)
	le.PutUint16(b[12:], command)
	if answer {
		b[16] = 1
	}
	le.PutUint64(b[24:], id)
	le.PutUint32(b[36:], 5)
	le.PutUint64(b[40:], 0x1234)
	return string(b) + body
}

func ask2(command uint16, id uint64, body string) apptest.Turn {
	return apptest.C(framed(command2(command, false, id, 0, body)))
}

func answer2(command uint16, id uint64, status uint32, body string) apptest.Turn {
	return apptest.S(framed(command2(command, true, id, status, body)))
}

func utf16le(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = le.AppendUint16(b, u)
	}
	return string(b)
}

func num16(n int) string { return string(le.AppendUint16(nil, uint16(n))) }
func num32(n int) string { return string(le.AppendUint32(nil, uint32(n))) }

// ntlm is an AUTHENTICATE_MESSAGE (MS-NLMP, 2.2.1.3) with Unicode names and a version.
func ntlm(names ...string) string {
	b := make([]byte, 72)
	copy(b, "NTLMSSP\x00\x03")
	rest := ""
	for i, s := range names {
		s = utf16le(s)
		at := 28 + 8*i
		le.PutUint16(b[at:], uint16(len(s)))
		le.PutUint32(b[at+4:], uint32(len(b)+len(rest)))
		rest += s
	}
	le.PutUint32(b[60:], ntlmVersionFlag)
	copy(b[64:], "\x0a\x00\x5a\x29\x00\x00\x00\x0f")
	return string(b) + rest
}

const zeros = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// Bodies of SMB 2 (MS-SMB2, 2.2.5 to 2.2.40): what is not looked at is 0.
func sessionSetup(blob string) string { return zeros[:24] + blob }
func treeConnect(path string) string {
	path = utf16le(path)
	return "\x09\x00\x00\x00\x48\x00" + num16(len(path)) + path
}
func treeConnected(kind byte) string {
	return "\x10\x00" + string(kind) + zeros[:13]
}
func create(name string, options int) string {
	name = utf16le(name)
	return zeros[:36] + num32(1) + num32(options) + "\x78\x00" + num16(len(name)) + zeros[:8] + name
}
func created(file string, size int) string {
	return zeros[:8] + zeros[:40] + num32(size) + zeros[:12] + file + zeros[:8]
}
func write(file string, offset int, data string) string {
	return zeros[:4] + num32(len(data)) + num32(offset) + zeros[:4] + file + zeros[:16] + data
}
func read2(file string, offset, n int) string {
	return zeros[:4] + num32(n) + num32(offset) + zeros[:4] + file + zeros[:16]
}
func data2(data string) string { return zeros[:4] + num32(len(data)) + zeros[:8] + data }
func ioctl(function int, file, data string) string {
	return zeros[:4] + num32(function) + file + zeros[:4] + num32(len(data)) + zeros[:24] + data
}
func ioctlAnswer(function int, file, data string) string {
	return zeros[:4] + num32(function) + file + zeros[:12] + num32(len(data)) + zeros[:8] + data
}
func closing(file string) string { return zeros[:8] + file }
func setInfo(level byte, file, info string) string {
	return "\x21\x00\x01" + string(level) + num32(len(info)) + zeros[:8] + file + info
}

const pipeFile, dataFile = "pipe------------", "data------------"

// dce makes a PDU of DCERPC (DCE 1.1: RPC, 12.6.4), of one fragment.
func dce(kind byte, body string) string {
	return "\x05\x00" + string(kind) + "\x03\x10\x00\x00\x00" + num16(16+len(body)) + "\x00\x00\x09\x00\x00\x00" + body
}

const (
	uuid = "\x78\x56\x34\x12\x34\x12\xcd\xab\xef\x00\x01\x23\x45\x67\x89\xac" // 12345678-1234-abcd-ef00-0123456789ac
	bind = "\xb8\x10\xb8\x10\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01\x00" + uuid + "\x02\x00\x00\x00"
	ack  = "\xb8\x10\xb8\x10\x00\x00\x00\x00\x02\x00x\x00\x01\x00\x00\x00\x00\x00\x00\x00"
)

// session is what a client may do.
var session = []apptest.Turn{
	ask2(cmd2SessionSetup, 1, sessionSetup(ntlm("CORP", "alice", "PC"))), answer2(cmd2SessionSetup, 1, 0, "\x09\x00"),
	ask2(cmd2TreeConnect, 2, treeConnect(`\\srv\IPC$`)), answer2(cmd2TreeConnect, 2, 0, treeConnected(sharePipe)),
	ask2(cmd2Create, 3, create("svcctl", 0)), answer2(cmd2Create, 3, 0, created(pipeFile, 0)),
	ask2(cmd2Write, 4, write(pipeFile, 0, dce(11, bind+zeros[:20]))), answer2(cmd2Write, 4, 0, zeros[:16]),
	ask2(cmd2Read, 5, read2(pipeFile, 0, 1024)), answer2(cmd2Read, 5, 0, data2(dce(12, ack+zeros[:20]))),
	ask2(cmd2Ioctl, 6, ioctl(fsctlTransceive, pipeFile, dce(0, "\x00\x00\x00\x00\x00\x00\x0f\x00question"))),
	answer2(cmd2Ioctl, 6, 0, ioctlAnswer(fsctlTransceive, pipeFile, dce(2, "\x00\x00\x00\x00\x00\x00\x00\x00answer"))),
	ask2(cmd2Close, 7, closing(pipeFile)), answer2(cmd2Close, 7, 0, ""),
}

// follow runs turns whole and in pieces, which must come to the same, and returns a line for each event.
func follow(t *testing.T, turns ...apptest.Turn) string {
	t.Helper()
	got := apptest.Follow(t, parser(), packet.ProtoTCP, 1<<20, turns...)
	for _, step := range []int{1, 7, 1448} {
		if pieces := apptest.Follow(t, parser(), packet.ProtoTCP, step, turns...); pieces != got {
			t.Fatalf("in pieces of %d:\n%s\nwhole:\n%s", step, pieces, got)
		}
	}
	return got
}

func TestSession(t *testing.T) {
	got := follow(t, session...)
	for _, want := range []string{
		`smb_request to_server #0 smb.ntlmssp_user="alice" smb.ntlmssp_domain="CORP" smb.version=2`,
		`smb_request to_server #1 smb.share="\\\\srv\\IPC$"`, `smb_tree to_server #1 smb.named_pipe="\\\\srv\\IPC$"`,
		`smb_request to_server #3 smb.version=2`,
		`smb_request to_server #4 dcerpc.stub_data="question" dcerpc.iface="\x124Vx\x124\xab\xcd\xef\x00\x01#Eg\x89\xac\x00\x02\x00\x00"`,
		`smb_response to_client #4 dcerpc.stub_data="question" dcerpc.stub_data="answer"`, "tx_done to_server #5",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "tx_done"); n != 6 {
		t.Errorf("%d transactions in\n%s", n, got)
	}
}

// A client writes a file in two parts, of which the second does not come in one piece, renames it and reads it back.
func TestFiles(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	turns := []apptest.Turn{
		ask2(cmd2TreeConnect, 1, treeConnect(`\\srv\data`)), answer2(cmd2TreeConnect, 1, 0, treeConnected(1)),
		ask2(cmd2Create, 2, create("a.txt", createDeleteOnClose)), answer2(cmd2Create, 2, 0, created(dataFile, 7)),
		ask2(cmd2Write, 3, write(dataFile, 0, "head")), ask2(cmd2Write, 4, write(dataFile, 4, long)),
		ask2(cmd2SetInfo, 5, setInfo(infoRename, dataFile, zeros[:16]+num32(10)+utf16le("b.txt"))), answer2(cmd2SetInfo, 5, 0, ""),
		ask2(cmd2Read, 6, read2(dataFile, 0, 4)), answer2(cmd2Read, 6, 0, data2("head")),
		ask2(cmd2Close, 7, closing(dataFile)), answer2(cmd2Close, 7, 0, ""),
	}
	follow(t, turns...)
	all := apptest.Transactions[Tx](t, &Parser{}, turns...)
	kinds := map[Kind]int{}
	for i := range all {
		tx := &all[i]
		kinds[tx.Kind]++
		switch tx.Kind {
		case Create:
			if string(tx.Text(Name)) != "a.txt" || !tx.Delete || tx.Size != 7 || tx.CommandName() != "SMB2_COMMAND_CREATE" {
				t.Errorf("create %+v", tx)
			}
		case Rename:
			if string(tx.Text(Name)) != "a.txt" || string(tx.Text(NewName)) != "b.txt" {
				t.Errorf("renamed from %q to %q", tx.Text(Name), tx.Text(NewName))
			}
		case Transfer:
			want := uint64(4 + len(long))
			if tx.dir == packet.ToClient {
				want = 4
			}
			if f := tx.File(tx.dir, 0); f.Size != want || f.Gaps || string(f.Name) != "a.txt" {
				t.Errorf("file %+v, want %d bytes", f, want)
			}
		}
	}
	if kinds[Transfer] != 2 || kinds[Create] != 1 || kinds[Rename] != 1 || kinds[TreeConnect] != 1 || kinds[Generic] != 1 {
		t.Errorf("transactions %v", kinds)
	}
}

// Rules see every byte of a file, in parts that overlap, and the last when it is closed.
func TestContent(t *testing.T) {
	var text strings.Builder
	for i := range 20_000 {
		text.WriteString(num32(i))
	}
	want := text.String()
	p := &Parser{}
	p.Reset(packet.ProtoTCP)
	var out applayer.Sink
	end, parts := 0, 0
	feed := func(turn apptest.Turn) {
		for data := []byte(turn.Data); len(data) > 0; {
			n := p.Data(&out, turn.Dir, data)
			for ev := range out.Take {
				if ev.Hook != applayer.SMBFileWritten {
					continue
				}
				b, _ := ev.Tx.Value(applayer.SMBWrittenData, 0)
				from, last := ev.Tx.Piece(applayer.SMBWrittenData, 0)
				if from > end || parts > 0 && from > end-contentBefore+1 || string(b) != want[from:from+len(b)] || last != (from+len(b) == len(want)) {
					t.Errorf("%d bytes from %d, the end %v, behind %d", len(b), from, last, end)
				}
				end, parts = from+len(b), parts+1
			}
			if n == 0 {
				t.Fatalf("%d bytes left", len(data))
			}
			data = data[n:]
		}
	}
	feed(ask2(cmd2TreeConnect, 1, treeConnect(`\\srv\data`)))
	feed(answer2(cmd2TreeConnect, 1, 0, treeConnected(1)))
	feed(ask2(cmd2Write, 2, write(dataFile, 0, want)))
	feed(ask2(cmd2Close, 3, closing(dataFile)))
	if end != len(want) || parts != 3 {
		t.Errorf("%d of %d bytes in %d parts", end, len(want), parts)
	}
}

// Commands of one message may each have an answer of their own.
func TestCompound(t *testing.T) {
	first := command2(cmd2Create, false, 1, 0, create("dir", createDirectory)+zeros[:4])
	first = first[:20] + num32(len(first)) + first[24:]
	all := apptest.Transactions[Tx](t, &Parser{}, apptest.C(framed(first+command2(cmd2Close, false, 2, 0, closing(dataFile)))),
		answer2(cmd2Close, 2, 0xc0000128, ""), answer2(cmd2Create, 1, statusPending, ""), answer2(cmd2Create, 1, 0xc0000022, ""))
	if len(all) != 2 || all[1].Kind != Create || !all[1].Directory {
		t.Fatalf("transactions %+v", all)
	}
	if name, code := all[0].StatusName(); name != "STATUS_FILE_CLOSED" || code != "0xc0000128" {
		t.Errorf("close: %s %s", name, code)
	}
	if name, _ := all[1].StatusName(); name != "STATUS_ACCESS_DENIED" {
		t.Errorf("create: %s", name)
	}
}

// A gap within a file's bytes is the file's; behind another the next message is found.
func TestGap(t *testing.T) {
	p := &Parser{}
	p.Reset(packet.ProtoTCP)
	var out applayer.Sink
	feed := func(data string) {
		for b := []byte(data); len(b) > 0; {
			n := p.Data(&out, packet.ToServer, b)
			if n == 0 {
				break
			}
			b = b[n:]
		}
	}
	tree := answer2(cmd2TreeConnect, 1, 0, treeConnected(1))
	feed(ask2(cmd2TreeConnect, 1, treeConnect(`\\srv\data`)).Data)
	p.Data(&out, packet.ToClient, []byte(tree.Data))
	whole := ask2(cmd2Write, 2, write(dataFile, 0, strings.Repeat("x", 5000))).Data
	feed(whole[:1000])
	p.Gap(&out, packet.ToServer, 2000)
	feed(whole[3000:])
	feed(ask2(cmd2Write, 3, write(dataFile, 5000, "tail")).Data)
	tx := p.findTransfer(fileID([]byte(dataFile)), packet.ToServer)
	if tx == nil || tx.file.Size != 5004 || !tx.file.Gaps || p.halves[packet.ToServer].lost {
		t.Fatalf("transfer %+v", tx)
	}
	p.Gap(&out, packet.ToServer, 2000)
	feed("of something else" + ask2(cmd2Close, 4, closing(dataFile)).Data)
	if tx.file.State == 0 {
		t.Error("the close behind a gap was not found")
	}
}

// message1 makes a message of SMB 1 (MS-CIFS, 2.2.3) with one command.
func message1(command byte, flags2 uint16, answer bool, words, data string) string {
	b := make([]byte, header1)
	copy(b, "\xffSMB")
	b[4] = command
	if answer {
		b[9] = 0x80
	}
	le.PutUint16(b[10:], flags2)
	le.PutUint16(b[28:], 7)
	return framed(string(b) + string([]byte{byte(len(words) / 2)}) + words + num16(len(data)) + data)
}

const flagNTStatus = 0x4000

// A negotiation and a tree of SMB 1 (MS-CIFS, 2.2.4.52 and 2.2.4.55), with an ECHO behind it.
func TestSMB1(t *testing.T) {
	turns := []apptest.Turn{
		apptest.C(message1(cmd1Negotiate, flagNTStatus, false, "", "\x02LANMAN1.0\x00\x02NT LM 0.12\x00")),
		apptest.S(message1(cmd1Negotiate, flagNTStatus, true, "\x01\x00"+zeros[:32], "0123456789abcdef")),
		apptest.C(message1(cmd1TreeConnect, flagNTStatus, false, "\xff\x00\x00\x00\x00\x00\x01\x00", "\x00\\\\srv\\IPC$\x00?????\x00")),
		apptest.S(message1(cmd1TreeConnect, flagNTStatus, true, "\xff\x00\x00\x00\x00\x00", "IPC\x00\x00")),
		apptest.C(message1(0x2b, flagNTStatus, false, "\x01\x00", "")), apptest.S(message1(0x2b, 0, true, "\x01\x00", "")),
	}
	got := follow(t, turns...)
	if want := `smb_tree to_server #1 smb.named_pipe="\\srv\\IPC$" smb.version=1`; !strings.Contains(got, want) {
		t.Errorf("no %s in\n%s", want, got)
	}
	all := apptest.Transactions[Tx](t, &Parser{}, turns...)
	if len(all) != 3 {
		t.Fatalf("%d transactions", len(all))
	}
	if string(all[0].Text(Dialects)) != "LANMAN1.0\x00NT LM 0.12\x00" || !all[0].HasServer {
		t.Errorf("negotiation %+v", all[0])
	}
	if _, name := all[0].Dialect(); string(name) != "NT LM 0.12" {
		t.Errorf("dialect %q", name)
	}
	if name, code := all[2].StatusName(); name != "DOS_SUCCESS" && code != "0x0000" || all[2].CommandName() != "SMB1_COMMAND_ECHO" {
		t.Errorf("%s: %s %s", all[2].CommandName(), name, code)
	}
}

// Open commands, and what is remembered of files and trees, is bounded.
func TestBounds(t *testing.T) {
	p := &Parser{}
	p.Reset(packet.ProtoTCP)
	var out applayer.Sink
	given := 0
	for i := range 3 * maxTxs {
		file := string(le.AppendUint64(nil, uint64(i))) + "--------"
		for _, turn := range []apptest.Turn{
			ask2(cmd2Create, uint64(i), create(strings.Repeat("n", 4000), 0)), answer2(cmd2Create, uint64(i), 0, created(file, 0)),
			ask2(cmd2Ioctl, uint64(i)<<32, ioctl(1, file, "")),
		} {
			p.Data(&out, turn.Dir, []byte(turn.Data))
		}
		for ev := range out.Take {
			if ev.Hook == applayer.AnomalySeen {
				given++
			}
		}
		p.Release()
	}
	if given != 2*maxTxs || len(p.txs.Live) != maxTxs || len(p.names.slots) != maxNames || p.Memory() > MaxMemory {
		t.Errorf("%d given up, %d open, %d names, %d bytes", given, len(p.txs.Live), len(p.names.slots), p.Memory())
	}
	p.Reset(packet.ProtoTCP)
	if p.held != 0 || p.Memory() > 200<<10 {
		t.Errorf("%d bytes held after a reset, %d of names", p.Memory(), p.held)
	}
}

func FuzzSMB(f *testing.F) {
	var client, server string
	for _, turn := range session {
		if turn.Dir == packet.ToServer {
			client += turn.Data
		} else {
			server += turn.Data
		}
	}
	apptest.Fuzz(f, parser, MaxMemory,
		[2]string{client, server},
		[2]string{message1(cmd1WriteAndX, flagNTStatus, false, zeros[:24], "data"), message1(cmd1Read, flagNTStatus, true, zeros[:24], "data")},
		[2]string{message1(cmd1SessionSetup, 0xc000, false, zeros[:24], utf16le("\x00os\x00lm\x00")), message1(cmd1SessionSetup, 0xc000, true, zeros[:8], "")},
		[2]string{message1(cmd1Trans2, 0xc000, false, zeros[:30], ""), message1(cmd1Trans, 0xc000, true, zeros[:20], "")})
}

// FuzzAuthenticate must not panic, and sets only what the blob holds.
func FuzzAuthenticate(f *testing.F) {
	f.Add([]byte(ntlm("CORP", "alice", "PC")))
	f.Add([]byte("\x60\x1c" + oidSPNEGO + "\xa0\x10\x30\x0e\xa0\x0c\x30\x0a" + oidNTLMSSP))
	f.Fuzz(func(t *testing.T, blob []byte) {
		p := &Parser{}
		p.Reset(packet.ProtoTCP)
		p.out = &applayer.Sink{}
		tx := p.add(SessionSetup, byHeader, &header{})
		p.authenticate(tx, blob)
		if n := len(tx.Text(NTLMUser)) + len(tx.Text(Realm)); n > len(blob) {
			t.Errorf("%d bytes from %d", n, len(blob))
		}
	})
}
