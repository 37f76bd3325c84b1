// Package parsers lists the protocol parsers that there are.
package parsers

import (
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/dcerpc"
	"github.com/sluicefw/sluice/engine/applayer/dns"
	"github.com/sluicefw/sluice/engine/applayer/ftp"
	"github.com/sluicefw/sluice/engine/applayer/http"
	"github.com/sluicefw/sluice/engine/applayer/http2"
	"github.com/sluicefw/sluice/engine/applayer/mqtt"
	"github.com/sluicefw/sluice/engine/applayer/sip"
	"github.com/sluicefw/sluice/engine/applayer/smb"
	"github.com/sluicefw/sluice/engine/applayer/smtp"
	"github.com/sluicefw/sluice/engine/applayer/ssh"
	"github.com/sluicefw/sluice/engine/applayer/tls"
)

// New returns a parser of p, or nil when there is none.
func New(p applayer.Proto) applayer.Parser {
	switch p {
	case applayer.DNS:
		return &dns.Parser{}
	case applayer.HTTP:
		return &http.Parser{}
	case applayer.HTTP2:
		return &http2.Parser{}
	case applayer.SIP:
		return &sip.Parser{}
	case applayer.SSH:
		return &ssh.Parser{}
	case applayer.MQTT:
		return &mqtt.Parser{}
	case applayer.DCERPC:
		return &dcerpc.Parser{}
	case applayer.SMB:
		return &smb.Parser{}
	case applayer.FTP:
		return &ftp.Parser{}
	case applayer.SMTP:
		return &smtp.Parser{}
	case applayer.TLS:
		return &tls.Parser{}
	}
	return nil
}
