package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicefw/sluice/engine/defrag"
	"github.com/sluicefw/sluice/engine/stream"
	"github.com/sluicefw/sluice/pktio/nfqueue"
)

var (
	regionForm   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}[a-z0-9]$`)
	accountForm  = regexp.MustCompile(`^[0-9]{12}$`)
	zoneForm     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	endpointForm = regexp.MustCompile(`^[a-zA-Z0-9:/-]{0,256}$`)
	firewallARN  = regexp.MustCompile(`^arn:aws:network-firewall:([a-z0-9-]+):([0-9]{12}):firewall/([a-zA-Z0-9-]{1,128})$`)
	firewallForm = regexp.MustCompile(`^[a-zA-Z0-9-]{1,128}$`) // AWS: ResourceName
)

// maxDataDir leaves room for the names of sockets below it: the path of a unix
// socket has at most 107 bytes on Linux.
const maxDataDir = 80

// maxARN is how long the ARN of a reference can be, in bytes. AWS: ResourceArn.
const maxARN = 256

// checker collects what is wrong.
type checker struct {
	places places
	errs   []error
}

// limitPolicies are the names that engine.ParseLimitPolicy takes.
var limitPolicies = []string{"auto", "ignore", "pass-packet", "pass-flow", "bypass", "drop-packet", "drop-flow", "reject"}

// bad notes that a key's value is wrong; the text says what to write instead.
func (c *checker) bad(key, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s: %s: %s", c.places.of(key), key, fmt.Sprintf(format, args...)))
}

// validate checks every value. p tells where they come from.
func (c *Config) validate(p places) error {
	k := &checker{places: p}
	if !regionForm.MatchString(c.Region) {
		k.bad("region", "%q is no Region: write lower-case letters, digits and hyphens, such as us-east-1", c.Region)
	}
	if !accountForm.MatchString(c.Account) {
		k.bad("account", "%q is no account: write 12 digits in quotes, such as \"123456789012\"", c.Account)
	}
	if !zoneForm.MatchString(c.Zone) {
		k.bad("zone", "%q is no Availability Zone: write lower-case letters, digits and hyphens, such as %sa", c.Zone, c.Region)
	}
	switch {
	case !filepath.IsAbs(c.DataDir):
		k.bad("data_dir", "%q is no absolute path: write one, such as /var/lib/sluice", c.DataDir)
	case len(c.DataDir) > maxDataDir:
		k.bad("data_dir", "the path has %d bytes, and sockets below it allow %d: choose a shorter one", len(c.DataDir), maxDataDir)
	}
	k.listen("api.listen", c.API.Listen)
	if c.API.Dev && !isLoopback(c.API.Listen) {
		k.bad("api.dev", "every access key would be accepted at %s, which others can reach: remove it, or let api.listen be 127.0.0.1 or [::1]", c.API.Listen)
	}
	k.tls(c.API.TLS)
	k.between("flows.limit", c.Flows.Limit, 1024, 100_000_000)
	k.between("flows.result_limit", c.Flows.ResultLimit, 1, 10_000_000)
	if _, err := defrag.ParsePolicy(c.Fragments.Policy); err != nil {
		k.bad("fragments.policy", "%v", err)
	}
	if _, err := stream.ParsePolicy(c.Streams.Policy); err != nil {
		k.bad("streams.policy", "%v", err)
	}
	k.between("fragments.memory", c.Fragments.Memory, 1<<20, 64<<30)
	k.between("streams.memory", c.Streams.Memory, 16<<20, 1<<40)
	for _, l := range [][2]string{{"default", c.Limits.Default}, {"flows", c.Limits.Flows}, {"streams", c.Limits.Streams}, {"fragments", c.Limits.Fragments}, {"parsers", c.Limits.Parsers}} {
		if !slices.Contains(limitPolicies, l[1]) {
			k.bad("limits."+l[0], "%q is no policy for limits: write one of %s", l[1], strings.Join(limitPolicies, ", "))
		}
	}
	for i, n := range c.HomeNet {
		if _, err := netip.ParsePrefix(n); err != nil {
			k.bad(fmt.Sprintf("home_net[%d]", i), "%q is no network: write one in CIDR form, such as 10.0.0.0/8 or fd00::/8", n)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.Subnets)) {
		if id == "" || !zoneForm.MatchString(c.Subnets[id]) {
			k.bad("subnets."+id, "%q is no Availability Zone: write one, such as {subnet-0a1b2c: %sa}", c.Subnets[id], c.Region)
		}
	}
	if f := c.GeoIPDatabase; f != "" && !filepath.IsAbs(f) {
		k.bad("geoip_database", "%q is no absolute path: write one, such as /var/lib/GeoIP/GeoLite2-Country.mmdb", f)
	}
	k.reputation(c.Reputation)
	if d := c.DataSetsDir; d != "" && !filepath.IsAbs(d) {
		k.bad("datasets_dir", "%q is no absolute path: write one, such as /var/lib/sluice/datasets", d)
	}
	k.attach(c)
	k.referenceSets(c.ReferenceSets)
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		k.bad("log.level", "%q is no level: write debug, info, warn or error", c.Log.Level)
	}
	if !slices.Contains([]string{"text", "json"}, c.Log.Format) {
		k.bad("log.format", "%q is no format: write text or json", c.Log.Format)
	}
	k.between("records.community_id_seed", c.Records.CommunityIDSeed, 0, 0xffff)
	k.between("records.stats", c.Records.Stats, 0, 86400)
	if e := c.Delivery.Endpoint; e != "" {
		if u, err := url.Parse(e); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			k.bad("delivery.endpoint", "%q is no URL: write one such as http://127.0.0.1:5000", e)
		}
	}
	if n := c.Delivery.SpoolLimit; n != 0 && n < 1<<20 {
		k.bad("delivery.spool_limit", "%d bytes are too few: write 1048576 or more, or leave it out", n)
	}
	for i, e := range c.Store.Endpoints {
		if !isEndpoint(e) {
			k.bad(fmt.Sprintf("store.endpoints[%d]", i), "%q is no etcd endpoint: write host:port, https://host:port or unix:///path", e)
		}
	}
	if c.Metrics.Listen != "" {
		k.listen("metrics.listen", c.Metrics.Listen)
		if c.Metrics.Listen == c.API.Listen && !strings.HasSuffix(c.API.Listen, ":0") {
			k.bad("metrics.listen", "it is the same as api.listen: remove it to have both there, or choose another port")
		}
	}
	return errors.Join(k.errs...)
}

// listen checks an address to listen on. Names are not resolved: what they
// resolve to could differ from what was checked.
func (c *checker) listen(key, address string) {
	host, port, err := net.SplitHostPort(address)
	if err == nil && host != "" {
		_, err = netip.ParseAddr(host)
	}
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		c.bad(key, "%q is no address to listen on: write IP address and port, such as 127.0.0.1:4580 or [::1]:4580, or :4580 for all addresses", address)
	}
}

// tls checks that a certificate comes from one place, and with its key.
func (c *checker) tls(t TLS) {
	files := []struct{ key, path, other string }{{"api.tls.cert", t.Cert, t.Key}, {"api.tls.key", t.Key, t.Cert}}
	for _, f := range files {
		switch {
		case f.path == "" && f.other != "":
			c.bad(f.key, "it is missing: certificate and key belong together, as in tls: {cert: /etc/sluice/cert.pem, key: /etc/sluice/key.pem}")
		case f.path != "" && !filepath.IsAbs(f.path):
			c.bad(f.key, "%q is no absolute path: write one, such as /etc/sluice/cert.pem", f.path)
		}
	}
	if t.SelfSigned && (t.Cert != "" || t.Key != "") {
		c.bad("api.tls.self_signed", "there is a certificate in a file as well: remove one of the two")
	}
}

// reputation checks that categories and lists come together; files are read later.
func (c *checker) reputation(r Reputation) {
	switch {
	case r.Categories == "" && len(r.Lists) > 0:
		c.bad("reputation.categories", "it is missing: lists need the file that numbers their categories, such as /etc/sluice/categories.txt")
	case r.Categories != "" && !filepath.IsAbs(r.Categories):
		c.bad("reputation.categories", "%q is no absolute path: write one, such as /etc/sluice/categories.txt", r.Categories)
	case r.Categories != "" && len(r.Lists) == 0:
		c.bad("reputation.lists", "it is missing: write the absolute paths of lists, such as [/etc/sluice/bad.list]")
	}
	for i, l := range r.Lists {
		if !filepath.IsAbs(l) {
			c.bad(fmt.Sprintf("reputation.lists[%d]", i), "%q is no absolute path: write one, such as /etc/sluice/bad.list", l)
		}
	}
}

// isLoopback reports whether only this machine can reach a checked address.
func isLoopback(address string) bool {
	a, err := netip.ParseAddrPort(address)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

func (c *checker) between(key string, v, low, high int) {
	if v < low || v > high {
		c.bad(key, "%d is out of range: write a number from %d to %d", v, low, high)
	}
}

// attach checks that every attachment is whole and that no queue has two.
func (c *checker) attach(config *Config) {
	taken := map[uint16]string{}
	for i, a := range config.Attach {
		key := fmt.Sprintf("attach[%d]", i)
		switch arn := firewallARN.FindStringSubmatch(a.Firewall); {
		case arn == nil && !firewallForm.MatchString(a.Firewall):
			c.bad(key+".firewall", "%q is no firewall: write its name, 1 to 128 letters, digits and hyphens, or its ARN", a.Firewall)
		case arn != nil && arn[1] != config.Region:
			c.bad(key+".firewall", "the firewall %s is in Region %s, and this is %s", a.Firewall, arn[1], config.Region)
		case arn != nil && a.Account != "" && a.Account != arn[2]:
			c.bad(key+".account", "it is not that of the firewall %s: remove it", a.Firewall)
		}
		if a.Account != "" && !accountForm.MatchString(a.Account) {
			c.bad(key+".account", "%q is no account: write 12 digits in quotes, or leave it out for the configured one", a.Account)
		}
		if !endpointForm.MatchString(a.Endpoint) {
			c.bad(key+".endpoint", "%q is no endpoint: write the id or ARN of a VPC endpoint association, an endpoint's id, such as vpce-0a1b2c, or its subnet's, or leave it out for the primary endpoint of the zone", a.Endpoint)
		}
		if a.NFQueue == nil {
			c.bad(key, "it does not say where packets come from: add nfqueue: {queues: \"0-1\"}")
			continue
		}
		queues, err := nfqueue.ParseQueues(a.NFQueue.Queues)
		if err != nil {
			c.bad(key+".nfqueue.queues", "%q is no set of at most 256 queues, each named once: write numbers from 0 to 65535 and ranges, such as \"0-3\"", a.NFQueue.Queues)
		}
		for _, q := range queues {
			if other, ok := taken[q]; ok {
				c.bad(key+".nfqueue.queues", "queue %d is already attached to firewall %q: choose others", q, other)
				break
			}
		}
		for _, q := range queues {
			taken[q] = a.Firewall
		}
		c.between(key+".nfqueue.queue_len", int(a.NFQueue.QueueLen), 0, 1<<20)
	}
}

// referenceSets checks what sets are made of; files are read later.
func (c *checker) referenceSets(sets map[string][]string) {
	for _, arn := range slices.Sorted(maps.Keys(sets)) {
		key := "reference_sets." + arn
		if !strings.HasPrefix(arn, "arn:") || len(arn) > maxARN {
			c.bad(key, "%q is no ARN: write that of a rule group's reference, such as arn:aws:ec2:us-east-1:123456789012:prefix-list/pl-0a1b2c3d", arn)
		}
		for i, item := range sets[arn] {
			if _, err := netip.ParsePrefix(item); err != nil && !filepath.IsAbs(item) {
				c.bad(fmt.Sprintf("%s[%d]", key, i), "%q is neither a network nor a file: write one in CIDR form, such as 10.0.0.0/8, or the absolute path of a file with one on each line", item)
			}
		}
	}
}

// isEndpoint reports whether etcd's client could mean something by e.
func isEndpoint(e string) bool {
	if path, ok := strings.CutPrefix(e, "unix://"); ok {
		return filepath.IsAbs(path)
	}
	if scheme, _, ok := strings.Cut(e, "://"); ok && scheme != "http" && scheme != "https" {
		return false
	} else if !ok {
		e = "http://" + e
	}
	u, err := url.Parse(e)
	return err == nil && u.Hostname() != "" && u.Port() != "" && (u.Path == "" || u.Path == "/") && u.User == nil
}
