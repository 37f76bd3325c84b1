package policy

import (
	"fmt"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// MaxServerCertificates is how many server certificates a TLS inspection
// configuration may have. AWS: 10.
const MaxServerCertificates = 10

// CheckTLSConfiguration says why a TLS inspection configuration must not be
// created, as a *wire.Error with AWS's text, or returns nil. doc has passed the
// model's own checks. Whether the certificates exist and what they are for is
// not known here.
func CheckTLSConfiguration(doc *wire.TLSInspectionConfiguration) error {
	const field = "ServerCertificateConfigurations"
	if len(doc.ServerCertificateConfigurations) != 1 {
		return wire.InvalidRequestException("Exactly one ServerCertificateConfiguration must be set")
	}
	c := doc.ServerCertificateConfigurations[0]
	context := "TLSInspectionConfiguration." + field + "[0]"
	if n := len(c.ServerCertificates); n > MaxServerCertificates {
		return invalid("Certificates limit exceeded", n, context+".ServerCertificates")
	}
	if len(c.ServerCertificates) == 0 && c.CertificateAuthorityArn == nil {
		return wire.InvalidRequestException("ServerCertificates or CertificateAuthorityArn is required. You can specify either, or both.")
	}
	seen := map[string]bool{}
	for i, certificate := range c.ServerCertificates {
		at := fmt.Sprintf("%s.ServerCertificates[%d].ResourceArn", context, i)
		switch arn := wire.Val(certificate.ResourceArn); {
		case arn == "":
			return invalid("ResourceArn cannot be null or empty", nil, at)
		case seen[arn]:
			return invalid("ResourceArn has duplicate values", arn, at)
		default:
			seen[arn] = true
		}
	}
	if c.CheckCertificateRevocationStatus != nil && c.CertificateAuthorityArn == nil {
		return wire.InvalidRequestException("CertificateAuthorityArn is required when enabling CheckCertificateRevocationStatus.")
	}
	if len(c.Scopes) == 0 {
		return invalid("Scopes cannot be null or empty", nil, context+".Scopes")
	}
	for i, s := range c.Scopes {
		if err := checkTLSScope(s, fmt.Sprintf("%s.Scopes[%d]", context, i)); err != nil {
			return err
		}
	}
	return nil
}

func checkTLSScope(s wire.ServerCertificateScope, context string) error {
	if len(s.Sources) == 0 && len(s.Destinations) == 0 {
		return invalid("Sources, Destinations cannot be null or empty", nil, context)
	}
	if err := checkAddresses("Sources", s.Sources, context); err != nil {
		return err
	}
	if err := checkAddresses("Destinations", s.Destinations, context); err != nil {
		return err
	}
	if err := checkPortRanges("SourcePorts", s.SourcePorts, context); err != nil {
		return err
	}
	if err := checkPortRanges("DestinationPorts", s.DestinationPorts, context); err != nil {
		return err
	}
	for _, p := range s.Protocols {
		if p != protoTCP {
			return invalid("Protocols is unsupported", int(p), context+".Protocols")
		}
	}
	return nil
}
