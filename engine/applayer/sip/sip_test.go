package sip

import (
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/apptest"
	"github.com/sluicefw/sluice/engine/packet"
)

func parser() applayer.Parser { return &Parser{} }

func TestMessages(t *testing.T) {
	for _, test := range []struct {
		turn apptest.Turn
		want string
	}{
		{apptest.C("INVITE sip:bob@example.com SIP/2.0\r\nVia: x\r\n\r\n"), `sip_request to_server #0 sip.method="INVITE" sip.uri="sip:bob@example.com" sip.protocol="SIP/2.0" sip.request_line="INVITE sip:bob@example.com SIP/2.0"` + "\n"},
		{apptest.S("SIP/2.0 404 Not Found\r\n\r\n"), `sip_response to_client #0 sip.protocol="SIP/2.0" sip.stat_code="404" sip.stat_msg="Not Found" sip.response_line="SIP/2.0 404 Not Found"` + "\n"},
		{apptest.C("INVITE sip:bob@example.com HTTP/1.1\r\n\r\n"), ""},
		{apptest.C("INVITE sip:bob@example.com SIP/2.0"), ""},
		{apptest.C("\r\n"), ""},
	} {
		got := apptest.Follow(t, parser(), packet.ProtoUDP, 0, test.turn)
		want := test.want
		if want != "" {
			want += "tx_done" + want[len("sip_request"):]
			if test.turn.Dir == packet.ToClient {
				want = test.want + "tx_done" + test.want[len("sip_response"):]
			}
		}
		if got != want {
			t.Errorf("%q:\n%s\nwant\n%s", test.turn.Data, got, want)
		}
	}
}

func FuzzSIP(f *testing.F) {
	apptest.FuzzDatagrams(f, parser, 4*maxLine,
		[2]string{"REGISTER sip:a SIP/2.0\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n"}, [2]string{"SIP/ \r\n", " \r\n"})
}
