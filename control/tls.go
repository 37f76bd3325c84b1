package control

import (
	"context"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/policy"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// TLS inspection configurations are kept and checked. Nothing acts on them, so
// policies that refer to one are refused.

// CreateTLSInspectionConfiguration creates a TLS inspection configuration.
func (c *Control) CreateTLSInspectionConfiguration(ctx context.Context, caller wire.Caller, in *wire.CreateTLSInspectionConfigurationRequest) (*wire.CreateTLSInspectionConfigurationResponse, error) {
	if err := policy.CheckTLSConfiguration(in.TLSInspectionConfiguration); err != nil {
		return nil, err
	}
	meta, err := c.newMeta(typeTLS, wire.Val(in.TLSInspectionConfigurationName), in.Description, in.Tags, in.EncryptionConfiguration)
	if err != nil {
		return nil, err
	}
	l := resource.TLSConfiguration{Meta: meta, Doc: in.TLSInspectionConfiguration}
	err = c.change(ctx, func(t *store.Txn) error {
		r, found, err := read[resource.TLSConfiguration](ctx, c, c.scope.TLSConfiguration(l.Name))
		if err != nil {
			return err
		}
		if found {
			return errExists()
		}
		if err := c.withinLimit(ctx, t, c.scope.TLSConfigurations(), "TLSInspectionConfigurations", c.o.Limits.TLSConfigurations); err != nil {
			return err
		}
		r.value = l
		replace(t, &r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, "CreateTLSInspectionConfiguration", l.ARN)
	response := tlsResponse(&l, 0)
	response.Tags = l.Tags // AWS: left out on create when there are none
	return &wire.CreateTLSInspectionConfigurationResponse{TLSInspectionConfigurationResponse: response, UpdateToken: &l.UpdateToken}, nil
}

// tlsResponse describes l, which uses policies refer to. Of the certificates
// only the ARNs are known.
func tlsResponse(l *resource.TLSConfiguration, uses int) *wire.TLSInspectionConfigurationResponse {
	r := &wire.TLSInspectionConfigurationResponse{
		TLSInspectionConfigurationArn: &l.ARN, TLSInspectionConfigurationName: &l.Name, TLSInspectionConfigurationId: &l.ID,
		TLSInspectionConfigurationStatus: wire.Ptr(wire.ResourceStatusActive), Description: l.Description, Tags: tagsOf(&l.Meta),
		NumberOfAssociations: count(uses), EncryptionConfiguration: encryption(&l.Meta), LastModifiedTime: modified(&l.Meta),
	}
	for _, s := range l.Doc.ServerCertificateConfigurations {
		for _, certificate := range s.ServerCertificates {
			r.Certificates = append(r.Certificates, wire.TlsCertificateData{CertificateArn: certificate.ResourceArn})
		}
		if s.CertificateAuthorityArn != nil {
			r.CertificateAuthority = &wire.TlsCertificateData{CertificateArn: s.CertificateAuthorityArn}
		}
	}
	return r
}

// tlsConfiguration reads the TLS inspection configuration that a request names.
func (c *Control) tlsConfiguration(ctx context.Context, arnText, name *string) (record[resource.TLSConfiguration], error) {
	_, found, err := c.nameOf("TLSInspectionConfiguration", arnText, name, typeTLS, typeTLS)
	if err != nil {
		return record[resource.TLSConfiguration]{}, err
	}
	r, ok, err := read[resource.TLSConfiguration](ctx, c, c.scope.TLSConfiguration(found))
	if err == nil && !ok {
		err = notFound(c.arn(typeTLS, found))
	}
	return r, err
}

// tlsUses counts the policies that refer to a TLS inspection configuration.
func (c *Control) tlsUses(ctx context.Context, tlsARN string) (usage, error) {
	return c.countPolicies(ctx, func(doc *wire.FirewallPolicy) bool { return wire.Val(doc.TLSInspectionConfigurationArn) == tlsARN })
}

// DescribeTLSInspectionConfiguration returns a TLS inspection configuration.
func (c *Control) DescribeTLSInspectionConfiguration(ctx context.Context, _ wire.Caller, in *wire.DescribeTLSInspectionConfigurationRequest) (*wire.DescribeTLSInspectionConfigurationResponse, error) {
	r, err := c.tlsConfiguration(ctx, in.TLSInspectionConfigurationArn, in.TLSInspectionConfigurationName)
	if err != nil {
		return nil, err
	}
	l := &r.value
	uses, err := c.tlsUses(ctx, l.ARN)
	if err != nil {
		return nil, err
	}
	return &wire.DescribeTLSInspectionConfigurationResponse{
		TLSInspectionConfiguration: l.Doc, TLSInspectionConfigurationResponse: tlsResponse(l, uses.n), UpdateToken: &l.UpdateToken,
	}, nil
}

// UpdateTLSInspectionConfiguration replaces a TLS inspection configuration as a
// whole, its description included.
func (c *Control) UpdateTLSInspectionConfiguration(ctx context.Context, caller wire.Caller, in *wire.UpdateTLSInspectionConfigurationRequest) (*wire.UpdateTLSInspectionConfigurationResponse, error) {
	if err := policy.CheckTLSConfiguration(in.TLSInspectionConfiguration); err != nil {
		return nil, err
	}
	var l *resource.TLSConfiguration
	err := c.change(ctx, func(t *store.Txn) error {
		r, err := c.tlsConfiguration(ctx, in.TLSInspectionConfigurationArn, in.TLSInspectionConfigurationName)
		if err != nil {
			return err
		}
		l = &r.value
		if err := checkToken(in.UpdateToken, &l.Meta); err != nil {
			return err
		}
		l.Doc, l.Description = in.TLSInspectionConfiguration, in.Description
		if err := setEncryption(&l.Meta, in.EncryptionConfiguration); err != nil {
			return err
		}
		c.touch(&l.Meta)
		replace(t, &r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, "UpdateTLSInspectionConfiguration", l.ARN)
	uses, err := c.tlsUses(ctx, l.ARN)
	if err != nil {
		return nil, err
	}
	return &wire.UpdateTLSInspectionConfigurationResponse{TLSInspectionConfigurationResponse: tlsResponse(l, uses.n), UpdateToken: &l.UpdateToken}, nil
}

// DeleteTLSInspectionConfiguration deletes a TLS inspection configuration that
// no policy refers to.
func (c *Control) DeleteTLSInspectionConfiguration(ctx context.Context, caller wire.Caller, in *wire.DeleteTLSInspectionConfigurationRequest) (*wire.DeleteTLSInspectionConfigurationResponse, error) {
	var l *resource.TLSConfiguration
	err := c.change(ctx, func(t *store.Txn) error {
		r, err := c.tlsConfiguration(ctx, in.TLSInspectionConfigurationArn, in.TLSInspectionConfigurationName)
		if err != nil {
			return err
		}
		l = &r.value
		uses, err := c.tlsUses(ctx, l.ARN)
		if err != nil {
			return err
		}
		if err := deleteUnused(t, &r, &uses); err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, "DeleteTLSInspectionConfiguration", l.ARN)
	response := tlsResponse(l, 0)
	response.TLSInspectionConfigurationStatus = wire.Ptr(wire.ResourceStatusDeleting)
	return &wire.DeleteTLSInspectionConfigurationResponse{TLSInspectionConfigurationResponse: response}, nil
}

// ListTLSInspectionConfigurations returns the TLS inspection configurations in
// order of their names.
func (c *Control) ListTLSInspectionConfigurations(ctx context.Context, caller wire.Caller, in *wire.ListTLSInspectionConfigurationsRequest) (*wire.ListTLSInspectionConfigurationsResponse, error) {
	out := &wire.ListTLSInspectionConfigurationsResponse{TLSInspectionConfigurations: []wire.TLSInspectionConfigurationMetadata{}}
	found, next, err := c.names(ctx, caller, "ListTLSInspectionConfigurations", typeTLS, in.NextToken, in.MaxResults)
	for _, f := range found {
		out.TLSInspectionConfigurations = append(out.TLSInspectionConfigurations, wire.TLSInspectionConfigurationMetadata{Name: &f.name, Arn: &f.arn})
	}
	out.NextToken = next
	return out, err
}
