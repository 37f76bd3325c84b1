package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
)

func TestCheckTLSConfiguration(t *testing.T) {
	const (
		at     = "TLSInspectionConfiguration.ServerCertificateConfigurations[0]"
		scopes = `"Scopes":[{"Sources":[{"AddressDefinition":"10.0.0.0/8"}],"DestinationPorts":[{"FromPort":443,"ToPort":443}],"Protocols":[6]}]`
		ca     = `"CertificateAuthorityArn":"arn:aws:acm:us-east-1:123456789012:certificate/ca"`
		needed = "ServerCertificates or CertificateAuthorityArn is required. You can specify either, or both."
	)
	certificates := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"ResourceArn":"arn:aws:acm:%d"}`, i))
		}
		return `"ServerCertificates":[` + strings.Join(all, ",") + `]`
	}
	scope := func(members string) string { return "{" + ca + `,"Scopes":[{` + members + `}]}` }
	for _, c := range []struct{ name, configurations, want string }{
		{"a CA", "{" + ca + "," + scopes + "}", ""},
		{"certificates", "{" + certificates(10) + "," + scopes + "}", ""},
		{"both, with revocation checks", "{" + ca + "," + certificates(1) + `,"CheckCertificateRevocationStatus":{"RevokedStatusAction":"DROP"},` + scopes + "}", ""},
		{"none", "", "Exactly one ServerCertificateConfiguration must be set"},
		{"two", "{},{}", "Exactly one ServerCertificateConfiguration must be set"},
		{"no certificate", "{" + scopes + "}", needed},
		{"an empty list of certificates", `{"ServerCertificates":[],` + scopes + "}", needed},
		{"11 certificates", "{" + certificates(11) + "," + scopes + "}", "Certificates limit exceeded, parameter: [11], context: " + at + ".ServerCertificates"},
		{"one twice", `{"ServerCertificates":[{"ResourceArn":"arn:aws:acm:1"},{"ResourceArn":"arn:aws:acm:1"}],` + scopes + "}", "ResourceArn has duplicate values, parameter: [arn:aws:acm:1], context: " + at + ".ServerCertificates[1].ResourceArn"},
		{"one without ARN", `{"ServerCertificates":[{}],` + scopes + "}", "ResourceArn cannot be null or empty, context: " + at + ".ServerCertificates[0].ResourceArn"},
		{"revocation checks without a CA", "{" + certificates(1) + `,"CheckCertificateRevocationStatus":{},` + scopes + "}", "CertificateAuthorityArn is required when enabling CheckCertificateRevocationStatus."},
		{"no scope", "{" + ca + "}", "Scopes cannot be null or empty, context: " + at + ".Scopes"},
		{"a scope of nothing", scope(""), "Sources, Destinations cannot be null or empty, context: " + at + ".Scopes[0]"},
		{"a bad address", scope(`"Destinations":[{"AddressDefinition":"x"}]`), "AddressDefinition has invalid format, parameter: [x], context: " + at + ".Scopes[0].Destinations[0].AddressDefinition"},
		{"UDP", scope(`"Sources":[{"AddressDefinition":"::/0"}],"Protocols":[6,17]`), "Protocols is unsupported, parameter: [17], context: " + at + ".Scopes[0].Protocols"},
		{"ports in disorder", scope(`"Sources":[{"AddressDefinition":"::/0"}],"SourcePorts":[{"FromPort":2,"ToPort":1}]`), "FromPort, ToPort is not within the bound, parameter: [2, 1], context: " + at + ".Scopes[0].SourcePorts[0]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := new(wire.TLSInspectionConfiguration)
			if err := wire.Decode([]byte(`{"ServerCertificateConfigurations":[`+c.configurations+`]}`), doc); err != nil {
				t.Fatal(err)
			}
			err := CheckTLSConfiguration(doc)
			if c.want != "" {
				refused(t, err, c.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}
