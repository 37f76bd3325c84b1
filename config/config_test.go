package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const whole = `
region: eu-central-1
account: "012345678901"
zone: eu-central-1b
data_dir: /srv/sluice
api: {listen: "[::1]:4580", dev: true, tls: {cert: /etc/sluice/cert.pem, key: /etc/sluice/key.pem}}
flows:
  limit: 500000
  result_limit: 10
fragments: {policy: bsd-right, memory: 1048576}
streams: {policy: old-linux, async_oneside: true, memory: 16777216}
limits: {default: ignore, flows: pass-packet, streams: drop-flow, fragments: ignore, parsers: reject}
home_net: [10.0.0.0/8, "fd00::/8"]
geoip_database: /srv/countries.mmdb
rules: {beyond_aws: true}
reputation: {categories: /srv/categories.txt, lists: [/srv/bad.list, /srv/good.list]}
datasets_dir: /srv/sets
subnets: {subnet-0a: eu-central-1a, subnet-0b: eu-central-1b}
attach:
  - {firewall: edge, nfqueue: {queues: "0-1", fail_open: true}}
  - firewall: inner
    nfqueue: {queues: "2", queue_len: 4096}
reference_sets:
  arn:aws:ec2:eu-central-1:012345678901:prefix-list/pl-0a: [10.9.0.0/16, /srv/blocked.txt]
log: {level: warn, format: json}
records: {payload: true, payload_printable: true, packet: true, metadata: true, community_id: true, community_id_seed: 7, stats: 30}
delivery: {services: true, endpoint: "http://127.0.0.1:5000", region: eu-west-1, spool_limit: 2097152}
store: {endpoints: ["https://etcd-1:2379", "unix:///run/etcd.sock"]}
metrics: {listen: ":9100"}
`

func wholeConfig() *Config {
	return &Config{
		Region: "eu-central-1", Account: "012345678901", Zone: "eu-central-1b", DataDir: "/srv/sluice",
		API:           API{Listen: "[::1]:4580", Dev: true, TLS: TLS{Cert: "/etc/sluice/cert.pem", Key: "/etc/sluice/key.pem"}},
		Flows:         Flows{Limit: 500_000, ResultLimit: 10},
		Fragments:     Fragments{Policy: "bsd-right", Memory: 1 << 20},
		Streams:       Streams{Policy: "old-linux", AsyncOneSide: true, Memory: 16 << 20},
		Limits:        Limits{Default: "ignore", Flows: "pass-packet", Streams: "drop-flow", Fragments: "ignore", Parsers: "reject"},
		HomeNet:       []string{"10.0.0.0/8", "fd00::/8"},
		GeoIPDatabase: "/srv/countries.mmdb",
		Rules:         Rules{BeyondAWS: true},
		Reputation:    Reputation{Categories: "/srv/categories.txt", Lists: []string{"/srv/bad.list", "/srv/good.list"}},
		DataSetsDir:   "/srv/sets",
		Subnets:       map[string]string{"subnet-0a": "eu-central-1a", "subnet-0b": "eu-central-1b"},
		Attach: []Attachment{
			{Firewall: "edge", NFQueue: &NFQueue{Queues: "0-1", FailOpen: true}},
			{Firewall: "inner", NFQueue: &NFQueue{Queues: "2", QueueLen: 4096}},
		},
		ReferenceSets: map[string][]string{
			"arn:aws:ec2:eu-central-1:012345678901:prefix-list/pl-0a": {"10.9.0.0/16", "/srv/blocked.txt"},
		},
		Log:      Log{Level: "warn", Format: "json"},
		Records:  Records{Payload: true, PayloadPrintable: true, Packet: true, Metadata: true, CommunityID: true, CommunityIDSeed: 7, Stats: 30},
		Delivery: Delivery{Services: true, Endpoint: "http://127.0.0.1:5000", Region: "eu-west-1", SpoolLimit: 2097152},
		Store:    Store{Endpoints: []string{"https://etcd-1:2379", "unix:///run/etcd.sock"}},
		Metrics:  Metrics{Listen: ":9100"},
	}
}

// write makes a configuration file and returns its path.
func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadWhole(t *testing.T) {
	got, err := Source{File: write(t, whole)}.Load()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(wholeConfig(), got); d != "" {
		t.Error(d)
	}
}

func TestYAMLLoadsToTheSame(t *testing.T) {
	for _, c := range []*Config{wholeConfig(), {
		Region: "us-east-1", Account: "000000000000", Zone: "us-east-1a", DataDir: "/d",
		API: API{Listen: ":0"}, Flows: Flows{Limit: 1024, ResultLimit: 1}, Fragments: Fragments{Policy: "linux", Memory: 1 << 20},
		Streams: Streams{Policy: "first", Memory: 16 << 20}, Limits: Limits{Default: "auto", Flows: "auto", Streams: "auto", Fragments: "auto", Parsers: "auto"}, Log: Log{Level: "info", Format: "text"},
	}} {
		text, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Source{File: write(t, string(text))}.Load()
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		again, err := got.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(text), string(again)); d != "" {
			t.Error(d)
		}
	}
}

func TestEmptyFileIsTheDefault(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n"} {
		got, err := Source{File: write(t, text)}.Load()
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		want := Default()
		want.Zone = "us-east-1a"
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	}
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
}

func TestFlagBeforeEnvironmentBeforeFile(t *testing.T) {
	got, err := Source{
		File: write(t, "region: eu-west-1\nzone: eu-west-1c\naccount: '111111111111'\n"),
		Lookup: lookup(map[string]string{
			"SLUICE_REGION": "eu-west-2", "SLUICE_ZONE": "eu-west-2a", "SLUICE_LOG_LEVEL": "",
		}),
		Flags: map[string]Flag{"region": {"--region", "eu-west-3"}},
	}.Load()
	if err != nil {
		t.Fatal(err)
	}
	if got.Region != "eu-west-3" || got.Zone != "eu-west-2a" || got.Account != "111111111111" || got.Log.Level != "info" {
		t.Errorf("region %s, zone %s, account %s, level %s", got.Region, got.Zone, got.Account, got.Log.Level)
	}
}

// Every key is settable by its variable, lists and mappings included.
func TestEnvironmentReachesEveryKey(t *testing.T) {
	env := map[string]string{
		"SLUICE_REGION": "eu-central-1", "SLUICE_ACCOUNT": "012345678901", "SLUICE_ZONE": "eu-central-1b",
		"SLUICE_DATA_DIR": "/srv/sluice", "SLUICE_API_LISTEN": "[::1]:4580", "SLUICE_API_DEV": "true",
		"SLUICE_API_TLS_CERT": "/etc/sluice/cert.pem", "SLUICE_API_TLS_KEY": "/etc/sluice/key.pem", "SLUICE_API_TLS_SELF_SIGNED": "false",
		"SLUICE_FLOWS_LIMIT": "500000", "SLUICE_FLOWS_RESULT_LIMIT": "10", "SLUICE_FRAGMENTS_POLICY": "bsd-right", "SLUICE_FRAGMENTS_MEMORY": "1048576",
		"SLUICE_STREAMS_POLICY": "old-linux", "SLUICE_STREAMS_ASYNC_ONESIDE": "true", "SLUICE_STREAMS_MEMORY": "16777216",
		"SLUICE_LIMITS_DEFAULT": "ignore",
		"SLUICE_LIMITS_FLOWS":   "pass-packet", "SLUICE_LIMITS_STREAMS": "drop-flow", "SLUICE_LIMITS_FRAGMENTS": "ignore", "SLUICE_LIMITS_PARSERS": "reject",
		"SLUICE_HOME_NET":         `[10.0.0.0/8, "fd00::/8"]`,
		"SLUICE_GEOIP_DATABASE":   "/srv/countries.mmdb",
		"SLUICE_RULES_BEYOND_AWS": "true", "SLUICE_DATASETS_DIR": "/srv/sets",
		"SLUICE_REPUTATION_CATEGORIES": "/srv/categories.txt", "SLUICE_REPUTATION_LISTS": `[/srv/bad.list, /srv/good.list]`,
		"SLUICE_SUBNETS":        "{subnet-0a: eu-central-1a, subnet-0b: eu-central-1b}",
		"SLUICE_ATTACH":         `[{firewall: edge, nfqueue: {queues: "0-1", fail_open: true}}, {firewall: inner, nfqueue: {queues: "2", queue_len: 4096}}]`,
		"SLUICE_REFERENCE_SETS": `{arn:aws:ec2:eu-central-1:012345678901:prefix-list/pl-0a: [10.9.0.0/16, /srv/blocked.txt]}`,
		"SLUICE_LOG_LEVEL":      "warn", "SLUICE_LOG_FORMAT": "json",
		"SLUICE_RECORDS_PAYLOAD": "true", "SLUICE_RECORDS_PAYLOAD_PRINTABLE": "true", "SLUICE_RECORDS_PACKET": "true", "SLUICE_RECORDS_METADATA": "true",
		"SLUICE_RECORDS_COMMUNITY_ID": "true", "SLUICE_RECORDS_COMMUNITY_ID_SEED": "7", "SLUICE_RECORDS_STATS": "30",
		"SLUICE_DELIVERY_SERVICES": "true", "SLUICE_DELIVERY_ENDPOINT": "http://127.0.0.1:5000", "SLUICE_DELIVERY_REGION": "eu-west-1", "SLUICE_DELIVERY_SPOOL_LIMIT": "2097152",
		"SLUICE_STORE_ENDPOINTS": `["https://etcd-1:2379", "unix:///run/etcd.sock"]`,
		"SLUICE_METRICS_LISTEN":  ":9100",
	}
	for _, k := range Keys() {
		if env[k.Env] == "" {
			t.Errorf("no value here for %s: add one", k.Env)
		}
	}
	got, err := Source{Lookup: lookup(env)}.Load()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(wholeConfig(), got); d != "" {
		t.Error(d)
	}
}

func TestErrorsNameKeyLineAndRemedy(t *testing.T) {
	for _, c := range []struct {
		name, file string
		want       []string // one for each line of the error; @ stands for the file
	}{
		{"unknown key", "region: us-east-1\nregoin: x\n", []string{`@:2: unknown key "regoin": correct or remove it; "sluice config keys" lists the keys`}},
		{"unknown key below", "api:\n  lisen: x\n", []string{`@:2: unknown key "lisen": correct or remove it; "sluice config keys" lists the keys`}},
		{"unknown key in a list", "attach:\n- firewall: a\n  nfqueue:\n    queue: 1\n", []string{`@:4: unknown key "queue": correct or remove it; "sluice config keys" lists the keys`}},
		{"key twice", "zone: a\nzone: b\n", []string{`@:2: mapping key "zone" already defined at line 1`}},
		{"not YAML", "region: [\n", []string{`@:1: not YAML: did not find expected node content`}},
		{"second document", "zone: a\n---\nzone: b\n", []string{`@: there is a second document in the file: remove the line "---" and what follows it`}},
		{"reference set", "reference_sets:\n  pl-1: []\n  arn:aws:x:\n  - 10.0.0.0\n", []string{
			`@:4: reference_sets.arn:aws:x[0]: "10.0.0.0" is neither a network nor a file: write one in CIDR form, such as 10.0.0.0/8, or the absolute path of a file with one on each line`,
			`@:2: reference_sets.pl-1: "pl-1" is no ARN: write that of a rule group's reference, such as arn:aws:ec2:us-east-1:123456789012:prefix-list/pl-0a1b2c3d`,
		}},
		{"no number", "flows: {limit: many}\n", []string{`@:1: flows.limit: write a number in digits`}},
		{"no bool", "api:\n  dev: maybe\n", []string{`@:2: api.dev: write true or false`}},
		{"no list", "home_net: {a: b}\n", []string{`@:1: home_net.a: write a list: [a, b]`}},
		{"no mapping", "api: 127.0.0.1:1\n", []string{`@:1: api: write a mapping: {key: value}`}},
		{"region", "region: US\n", []string{
			`@:1: region: "US" is no Region: write lower-case letters, digits and hyphens, such as us-east-1`,
			`default: zone: "USa" is no Availability Zone: write lower-case letters, digits and hyphens, such as USa`}},
		{"account", "account: 12\n", []string{`@:1: account: "12" is no account: write 12 digits in quotes, such as "123456789012"`}},
		{"data_dir", "data_dir: here\n", []string{`@:1: data_dir: "here" is no absolute path: write one, such as /var/lib/sluice`}},
		{"geoip_database", "geoip_database: GeoLite2-Country.mmdb\n", []string{`@:1: geoip_database: "GeoLite2-Country.mmdb" is no absolute path: write one, such as /var/lib/GeoIP/GeoLite2-Country.mmdb`}},
		{"datasets_dir", "datasets_dir: sets\n", []string{`@:1: datasets_dir: "sets" is no absolute path: write one, such as /var/lib/sluice/datasets`}},
		{"reputation without lists", "reputation: {categories: /c}\n", []string{`@:1: reputation.lists: it is missing: write the absolute paths of lists, such as [/etc/sluice/bad.list]`}},
		{"reputation without categories", "reputation:\n  lists: [l, /l]\n", []string{
			`@:1: reputation.categories: it is missing: lists need the file that numbers their categories, such as /etc/sluice/categories.txt`,
			`@:2: reputation.lists[0]: "l" is no absolute path: write one, such as /etc/sluice/bad.list`}},
		{"long data_dir", "data_dir: /" + strings.Repeat("d", 80) + "\n", []string{`@:1: data_dir: the path has 81 bytes, and sockets below it allow 80: choose a shorter one`}},
		{"listen", "api:\n  listen: localhost\n", []string{`@:2: api.listen: "localhost" is no address to listen on: write IP address and port, such as 127.0.0.1:4580 or [::1]:4580, or :4580 for all addresses`}},
		{"dev for all", "api:\n  listen: :4580\n  dev: true\n", []string{`@:3: api.dev: every access key would be accepted at :4580, which others can reach: remove it, or let api.listen be 127.0.0.1 or [::1]`}},
		{"limits", "flows: {limit: 5,\n result_limit: 0}\n", []string{
			`@:1: flows.limit: 5 is out of range: write a number from 1024 to 100000000`,
			`@:2: flows.result_limit: 0 is out of range: write a number from 1 to 10000000`}},
		{"fragments", "fragments: {policy: amiga}\n", []string{
			`@:1: fragments.policy: "amiga" is no policy of fragments: write one of default, windows, first, last, bsd, bsd-right, linux, solaris`}},
		{"streams", "streams: {policy: amiga}\n", []string{
			`@:1: streams.policy: "amiga" is no policy of streams: write one of windows, bsd, bsd-right, old-linux, linux, old-solaris, solaris, hpux10, hpux11, irix, macos, vista, windows2k3, first, last`}},
		{"memory", "fragments: {memory: 1000}\nstreams: {memory: 1000}\n", []string{
			`@:1: fragments.memory: 1000 is out of range: write a number from 1048576 to 68719476736`,
			`@:2: streams.memory: 1000 is out of range: write a number from 16777216 to 1099511627776`}},
		{"policies of limits", "limits:\n  parsers: shrug\n", []string{
			`@:2: limits.parsers: "shrug" is no policy for limits: write one of auto, ignore, pass-packet, pass-flow, bypass, drop-packet, drop-flow, reject`}},
		{"home_net", "home_net:\n- 10.0.0.0/8\n- 10.0.0.1\n", []string{`@:3: home_net[1]: "10.0.0.1" is no network: write one in CIDR form, such as 10.0.0.0/8 or fd00::/8`}},
		{"subnets", "subnets:\n  subnet-1: X\n", []string{`@:2: subnets.subnet-1: "X" is no Availability Zone: write one, such as {subnet-0a1b2c: us-east-1a}`}},
		{"attach", "attach:\n- {firewall: a b}\n", []string{
			`@:2: attach[0].firewall: "a b" is no firewall: write its name, 1 to 128 letters, digits and hyphens, or its ARN`,
			`@:2: attach[0]: it does not say where packets come from: add nfqueue: {queues: "0-1"}`}},
		{"endpoint", "attach:\n- {firewall: a, endpoint: not one, nfqueue: {queues: 0}}\n", []string{
			`@:2: attach[0].endpoint: "not one" is no endpoint: write the id or ARN of a VPC endpoint association, an endpoint's id, such as vpce-0a1b2c, or its subnet's, or leave it out for the primary endpoint of the zone`}},
		{"account of a firewall", "attach:\n- {firewall: a, account: \"1\", nfqueue: {queues: 0}}\n", []string{
			`@:2: attach[0].account: "1" is no account: write 12 digits in quotes, or leave it out for the configured one`}},
		{"two accounts of a firewall", "attach:\n- {firewall: \"arn:aws:network-firewall:us-east-1:012345678901:firewall/a\", account: \"123456789012\", nfqueue: {queues: 0}}\n", []string{
			`@:2: attach[0].account: it is not that of the firewall arn:aws:network-firewall:us-east-1:012345678901:firewall/a: remove it`}},
		{"firewall elsewhere", "attach:\n- {firewall: \"arn:aws:network-firewall:eu-west-1:012345678901:firewall/a\", nfqueue: {queues: 0}}\n", []string{
			`@:2: attach[0].firewall: the firewall arn:aws:network-firewall:eu-west-1:012345678901:firewall/a is in Region eu-west-1, and this is us-east-1`}},
		{"queues", "attach:\n- {firewall: a, nfqueue: {queues: 3-1}}\n", []string{
			`@:2: attach[0].nfqueue.queues: "3-1" is no set of at most 256 queues, each named once: write numbers from 0 to 65535 and ranges, such as "0-3"`}},
		{"queue twice", "attach:\n- {firewall: a, nfqueue: {queues: 0-3}}\n- {firewall: b, nfqueue: {queues: \"2\"}}\n", []string{
			`@:3: attach[1].nfqueue.queues: queue 2 is already attached to firewall "a": choose others`}},
		{"records", "records: {community_id_seed: 65536, stats: -1}\n", []string{
			`@:1: records.community_id_seed: 65536 is out of range: write a number from 0 to 65535`,
			`@:1: records.stats: -1 is out of range: write a number from 0 to 86400`}},
		{"log", "log: {level: all, format: xml}\n", []string{
			`@:1: log.level: "all" is no level: write debug, info, warn or error`,
			`@:1: log.format: "xml" is no format: write text or json`}},
		{"endpoints", "store:\n  endpoints:\n  - etcd-1\n", []string{
			`@:3: store.endpoints[0]: "etcd-1" is no etcd endpoint: write host:port, https://host:port or unix:///path`}},
		{"metrics", "metrics: {listen: \"127.0.0.1:4580\"}\n", []string{
			`@:1: metrics.listen: it is the same as api.listen: remove it to have both there, or choose another port`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := write(t, c.file)
			_, err := Source{File: file}.Load()
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.Split(strings.ReplaceAll(err.Error(), file, "@"), "\n")
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestErrorsNameVariableAndFlag(t *testing.T) {
	file := write(t, "attach:\n- {firewall: a, nfqueue: {queues: x}}\n")
	_, err := Source{File: file,
		Lookup: lookup(map[string]string{"SLUICE_FLOWS_LIMIT": "many", "SLUICE_ATTACH": "[{firewall: a, queues: 1}]"}),
	}.Load()
	want := `SLUICE_FLOWS_LIMIT: flows.limit: "many" cannot be read: write a number in digits` + "\n" +
		`SLUICE_ATTACH: attach: "[{firewall: a, queues: 1}]" cannot be read: write a list: [a, b]`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	_, err = Source{File: file,
		Lookup: lookup(map[string]string{"SLUICE_ATTACH": "[{firewall: a, nfqueue: {queues: y}}]"}),
		Flags:  map[string]Flag{"api.listen": {"--listen", "x"}},
	}.Load()
	for _, want := range []string{"--listen: api.listen: ", "SLUICE_ATTACH: attach[0].nfqueue.queues: \"y\""} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not have %s", err, want)
		}
	}
}

func TestUnreadableFile(t *testing.T) {
	if _, err := (Source{File: filepath.Join(t.TempDir(), "none")}).Load(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := (Source{File: write(t, strings.Repeat("#\n", maxFile))}).Load(); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("huge file: %v", err)
	}
}

func TestDefaultDataDir(t *testing.T) {
	home := func() (string, error) { return "/home/u", nil }
	homeless := func() (string, error) { return "", errors.New("no home") }
	for _, c := range []struct {
		root  bool
		state string
		home  func() (string, error)
		want  string
	}{
		{true, "/x", home, "/var/lib/sluice"},
		{false, "/x", home, "/x/sluice"},
		{false, "relative", home, "/home/u/.local/state/sluice"},
		{false, "", home, "/home/u/.local/state/sluice"},
		{false, "", homeless, ""},
	} {
		if got := defaultDataDir(c.root, func(string) string { return c.state }, c.home); got != c.want {
			t.Errorf("root %v, XDG_STATE_HOME %q: %q, want %q", c.root, c.state, got, c.want)
		}
	}
}

// The manual names every key, its variable and its default.
func TestManualIsComplete(t *testing.T) {
	manual, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Keys() {
		if row := "| `" + k.Name + "` | `" + k.Env + "` |"; !strings.Contains(string(manual), row) {
			t.Errorf("docs/configuration.md has no row %s", row)
		}
	}
}

// The example of the manual loads.
func TestManualExample(t *testing.T) {
	manual, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(manual), "```yaml\n")
	example, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/configuration.md has no YAML example")
	}
	if _, err := (Source{File: write(t, example)}).Load(); err != nil {
		t.Error(err)
	}
}

// Whatever stands in a file, Load answers with a configuration that it would
// accept again, or with an error.
func FuzzDecode(f *testing.F) {
	f.Add(whole)
	f.Add("a: &a [*a]\n")
	f.Add("attach:\n- {firewall: a, nfqueue: {queues: 0-3}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, p := Default(), places{}
		if decode(c, p, "f", []byte(text)) != nil || c.validate(p) != nil {
			return
		}
		out, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again := Default()
		if err := decode(again, places{}, "f", out); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if err := again.validate(places{}); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	})
}

func TestTarget(t *testing.T) {
	c := Default()
	c.Account = "123456789012"
	for _, tc := range []struct {
		a             Attachment
		account, name string
	}{
		{Attachment{Firewall: "edge"}, "123456789012", "edge"},
		{Attachment{Firewall: "edge", Account: "210987654321"}, "210987654321", "edge"},
		{Attachment{Firewall: "arn:aws:network-firewall:us-east-1:210987654321:firewall/edge"}, "210987654321", "edge"},
	} {
		if account, name := c.Target(tc.a); account != tc.account || name != tc.name {
			t.Errorf("%+v is %s of %s", tc.a, name, account)
		}
	}
}
