package oracle

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicefw/sluice/internal/packettest"
)

// requiredApplication is how many records of application protocols must be the same, in percent.
const requiredApplication = 97

// TestApplications compares the records of application protocols of random conversations.
// SLUICE_SEED and SLUICE_ROUNDS are as for TestAgreement.
func TestApplications(t *testing.T) {
	suricata := needSuricata(t)
	_, r := seeded(t)
	same, all := 0, 0
	differences := differences{}
	for round := range number("SLUICE_ROUNDS", 4) {
		dir := roundDir(t, round)
		capture := filepath.Join(dir, "traffic.pcap")
		writeCapture(t, capture, applicationTraffic(t, r, 60))
		mode := pick(r, []string{"ids", "ips"})
		theirs, ours := applicationRound(t, suricata, dir, capture, mode, nil)
		n, of := differences.compare(applicationRecords(t, theirs), applicationRecords(t, ours), mode, nil)
		same, all = same+n, all+of
	}
	differences.judge(t, same, all, requiredApplication)
}

// judge says how many records are alike, of all, and fails below a percentage.
func (d differences) judge(t *testing.T, same, all, required int) {
	t.Helper()
	d.log(t)
	share := 100 * float64(same) / float64(max(all, 1))
	t.Logf("%d of %d records alike: %.1f%%", same, all, share)
	if share < float64(required) {
		t.Errorf("agreement is below %d%%", required)
	}
}

// applicationRound lets both read a capture, and returns where their records are.
func applicationRound(t *testing.T, suricata, dir, capture, mode string, rules []string) (theirs, ours string) {
	t.Helper()
	out, file, eve := filepath.Join(dir, "suricata"), filepath.Join(dir, "rules"), filepath.Join(dir, "eve.json")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, rules)
	args := []string{"-c", "testdata/applayer.yaml", "-S", file, "-l", out, "-r", capture, "--runmode=single", "--init-errors-fatal"}
	if mode == "ips" {
		args = append(args, "--simulate-ips")
	}
	if output, err := exec.CommandContext(t.Context(), suricata, args...).CombinedOutput(); err != nil {
		t.Fatalf("suricata: %v\n%s", err, output)
	}
	if code, stderr := sluiceReplay(t, "--rules", file, "--mode", mode, "--community-id", "7", "--eve", eve, capture); code != 0 {
		t.Fatalf("sluice: exit code %d\n%s", code, stderr)
	}
	return filepath.Join(out, "eve.json"), eve
}

// applicationRecords reads the records of application protocols, by flow and in their order.
// The packet and the time at which they were written are left out.
func applicationRecords(t *testing.T, path string) records {
	t.Helper()
	all := records{}
	for _, v := range readLines[map[string]any](t, path) {
		switch v["event_type"] {
		case "dns", "fileinfo", "ftp", "smtp", "ssh", "tls":
		default:
			continue
		}
		delete(v, "timestamp")
		delete(v, "pcap_cnt")
		delete(v, "pkt_src")
		if v["event_type"] == "fileinfo" {
			delete(v, "email") // Suricata shows what is known of it when the packet ends
		}
		fields := map[string]string{}
		flatten(fields, "", v)
		key := fmt.Sprintf("%s %v", v["event_type"], v["community_id"])
		all[key] = append(all[key], fields)
	}
	return all
}

// applicationTraffic makes conversations one after the other.
func applicationTraffic(t *testing.T, r *rand.Rand, flows int) [][]byte {
	made := &traffic{r: r}
	for i := range flows {
		client, server := fmt.Sprintf("10.1.%d.%d:%d", r.IntN(3), 1+r.IntN(3), 20000+i), fmt.Sprintf("192.0.2.%d", 1+r.IntN(3))
		switch r.IntN(6) {
		case 0:
			made.connection(client, server+":25", smtpTurns(r)...)
		case 1:
			made.connection(client, server+":21", ftpTurns(r)...)
		case 2:
			made.connection(client, server+":22", []byte("SSH-2.0-"+pick(r, words)+" x\r\n"), []byte("SSH-2.0-OpenSSH_"+pick(r, words)+"\n"))
		case 3:
			made.connection(client, server+":443", tlsTurns(t, r)...)
		case 4:
			var query, answer []byte
			for range 1 + r.IntN(3) {
				q := dnsQuery(r)
				query = append(binary.BigEndian.AppendUint16(query, uint16(len(q))), q...)
				a := dnsAnswer(r, q)
				answer = append(binary.BigEndian.AppendUint16(answer, uint16(len(a))), a...)
			}
			made.connection(client, server+":53", query, answer)
		case 5:
			for range 1 + r.IntN(3) {
				q := dnsQuery(r)
				made.add(packettest.UDP(client, server+":53", q))
				made.add(packettest.UDP(server+":53", client, dnsAnswer(r, q)))
			}
		}
	}
	return made.frames
}

// dnsAnswer answers a query with records of several types.
func dnsAnswer(r *rand.Rand, query []byte) []byte {
	b := bytes.Clone(query)
	b[2], b[3] = 0x81|byte(r.IntN(2))<<2, 0x80|pick(r, []byte{0, 0, 0, 2, 3, 5})
	name := []byte{3, 'a', '.', 'b', 0xc0, 12}
	for range r.IntN(4) {
		b[7]++
		typ, data := uint16(1), []byte{10, 0, 0, byte(r.Uint32())}
		switch r.IntN(6) {
		case 0:
			typ, data = 28, append(make([]byte, 15), byte(r.Uint32()))
		case 1:
			typ, data = 5, name
		case 2:
			typ, data = 15, append([]byte{0, byte(r.Uint32())}, name...)
		case 3:
			typ, data = 16, append([]byte{5}, "hello"...)
		case 4:
			typ, data = 6, append(append(bytes.Clone(name), 0xc0, 12), make([]byte, 20)...)
		}
		b = binary.BigEndian.AppendUint16(append(b, 0xc0, 12), typ)
		b = append(b, 0, 1, 0, 0, 0, byte(r.Uint32()))
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
	}
	return b
}

// dialogue are lines of client and server in turn, the server's first.
func dialogue(lines ...string) [][]byte {
	turns := [][]byte{nil}
	for _, line := range lines {
		turns = append(turns, []byte(line+"\r\n"))
	}
	return turns
}

// ftpTurns begin with USER, as Suricata recognises FTP by few commands. Replies are of one line:
// where a segment ends after the first of several, Suricata makes a transaction of the others.
func ftpTurns(r *rand.Rand) [][]byte {
	lines := []string{"220 " + pick(r, words), "USER " + pick(r, words), "331 " + pick(r, words)}
	for range 1 + r.IntN(5) {
		switch r.IntN(5) {
		case 0:
			lines = append(lines, "USER "+pick(r, words), "331 "+pick(r, words))
		case 1:
			lines = append(lines, "PASS "+pick(r, words), pick(r, []string{"230 ok", "530 no"}))
		case 2:
			lines = append(lines, "syst", "215 "+pick(r, words))
		case 3:
			lines = append(lines, fmt.Sprintf("PORT 10,0,0,1,%d,%d", r.IntN(256), r.IntN(256)), "200 ok")
		case 4:
			lines = append(lines, "CWD "+pick(r, words)+" "+pick(r, words), "250 ok")
		}
	}
	return dialogue(append(lines, "QUIT", "221 bye")...)
}

func smtpTurns(r *rand.Rand) [][]byte {
	lines := []string{"220 " + pick(r, names), "EHLO " + pick(r, names), "250-" + pick(r, names) + "\r\n250 ok"}
	for range 1 + r.IntN(2) {
		lines = append(lines, "MAIL FROM:<"+pick(r, words)+"@"+pick(r, names)+">", "250 ok")
		for range 1 + r.IntN(2) {
			lines = append(lines, "RCPT TO:<"+pick(r, words)+"@"+pick(r, names)+">", "250 ok")
		}
		switch r.IntN(5) {
		case 0:
			lines = append(lines, "RSET", "250 ok")
		default:
			lines = append(lines, "DATA", "354 go", message(r)+"\r\n.", "250 queued")
		}
	}
	return dialogue(append(lines, "QUIT", "221 bye")...)
}

// message is a message, with attachments or without.
func message(r *rand.Rand) string {
	text := func() string {
		return strings.ReplaceAll(string(sentence(r)), "\x00", "") + pick(r, []string{"", "http://" + pick(r, names) + "/" + pick(r, words)})
	}
	head := "From: " + pick(r, words) + "@" + pick(r, names) + "\r\nTo: " + pick(r, words) + "@" + pick(r, names) + ", x@" + pick(r, names) + "\r\nSubject: " + pick(r, words) + "\r\n"
	if r.IntN(3) == 0 {
		return head + "\r\n" + text()
	}
	var b strings.Builder
	b.WriteString(head + "Content-Type: multipart/mixed; boundary=\"=_" + pick(r, words) + "x\"\r\n\r\n")
	boundary := b.String()[strings.Index(b.String(), "=_") : b.Len()-5]
	for range 1 + r.IntN(3) {
		b.WriteString("--" + boundary + "\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"" + pick(r, words) + "\"\r\nContent-Transfer-Encoding: ")
		switch r.IntN(3) {
		case 0:
			b.WriteString("7bit\r\n\r\n" + text() + "\r\n" + text() + "\r\n")
		case 1:
			b.WriteString("base64\r\n\r\n")
			for encoded := base64.StdEncoding.EncodeToString(bytes.Repeat(sentence(r), 1+r.IntN(40))); encoded != ""; {
				n := min(76, len(encoded))
				b.WriteString(encoded[:n] + "\r\n")
				encoded = encoded[n:]
			}
		case 2:
			b.WriteString("quoted-printable\r\n\r\na=3Db " + pick(r, words) + "=\r\n" + pick(r, words) + "\r\n")
		}
	}
	b.WriteString("--" + boundary + "--\r\n")
	return b.String()
}

// recorder notes what is written, as turns of client and server.
type recorder struct {
	net.Conn
	side  int
	turns *[][]byte
}

func (c recorder) Write(b []byte) (int, error) {
	if len(*c.turns)%2 == c.side { // the other side's turn, or none, is the last
		*c.turns = append(*c.turns, nil)
	}
	last := &(*c.turns)[len(*c.turns)-1]
	*last = append(*last, b...)
	return c.Conn.Write(b)
}

// tlsTurns are those of a handshake with a certificate of its own.
func tlsTurns(t *testing.T, r *rand.Rand) [][]byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	name := pick(r, names)
	begin := time.Unix(1_600_000_000+int64(r.IntN(1e8)), 0)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(r.Uint64() >> uint(1+r.IntN(62)))), NotBefore: begin, NotAfter: begin.AddDate(r.IntN(40), 0, 0),
		Subject: pkix.Name{CommonName: name, Organization: []string{pick(r, words), pick(r, words)}[:r.IntN(3)], Country: []string{"DE"}},
	}
	certificate, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	var turns [][]byte
	a, b := net.Pipe()
	client := tls.Client(recorder{a, 0, &turns}, &tls.Config{ServerName: name, InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12 + uint16(r.IntN(2))})
	server := tls.Server(recorder{b, 1, &turns}, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}, SessionTicketsDisabled: true})
	done := make(chan error)
	go func() { done <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return turns
}
