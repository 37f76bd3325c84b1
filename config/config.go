// Package config is what an operator can set: one YAML file, an environment
// variable for each of its keys, and flags for the few that people change. A
// flag goes before the environment, the environment before the file, the file
// before the default.
//
// The file is read strictly: an unknown key, a key given twice and a value out
// of its range are errors that name the line.
package config

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sluicefw/sluice/engine/defrag"
	"github.com/sluicefw/sluice/engine/stream"
)

// Config is a configuration. Its yaml tags are the keys of the file.
type Config struct {
	Region  string `yaml:"region"`
	Account string `yaml:"account"`  // 12 digits
	Zone    string `yaml:"zone"`     // Availability Zone of this node; empty: Region + "a"
	DataDir string `yaml:"data_dir"` // absolute

	API       API       `yaml:"api"`
	Flows     Flows     `yaml:"flows"`
	Fragments Fragments `yaml:"fragments"`
	Streams   Streams   `yaml:"streams"`
	Limits    Limits    `yaml:"limits"`
	HomeNet   []string  `yaml:"home_net,flow"` // HOME_NET where no policy sets it; empty: all private ranges

	// GeoIPDatabase is the absolute path of the MaxMind file that geoip asks; empty refuses
	// rules with geoip.
	GeoIPDatabase string `yaml:"geoip_database"`

	Rules       Rules      `yaml:"rules"`
	Reputation  Reputation `yaml:"reputation"`
	DataSetsDir string     `yaml:"datasets_dir"` // absolute; empty: below DataDir

	Subnets map[string]string `yaml:"subnets"` // subnet id to zone; other subnets are in Zone
	Attach  []Attachment      `yaml:"attach"`

	// ReferenceSets says what is behind the ARNs that rule groups refer to as
	// @NAME: networks in CIDR form, and absolute paths of files that have one on
	// each line.
	ReferenceSets map[string][]string `yaml:"reference_sets"`

	Log      Log      `yaml:"log"`
	Records  Records  `yaml:"records"`
	Delivery Delivery `yaml:"delivery"`
	Store    Store    `yaml:"store"`
	Metrics  Metrics  `yaml:"metrics"`
}

// API is where and to whom the API answers.
type API struct {
	Listen string `yaml:"listen"` // IP address and port
	Dev    bool   `yaml:"dev"`    // accept every access key, unverified; on loopback addresses only
	TLS    TLS    `yaml:"tls"`
}

// TLS is the API's certificate. The zero value is none: HTTP without TLS.
type TLS struct {
	Cert       string `yaml:"cert"`        // PEM file: the certificate, then intermediate ones
	Key        string `yaml:"key"`         // PEM file
	SelfSigned bool   `yaml:"self_signed"` // instead of files: one that serve makes and keeps in TLSDir
}

// Enabled reports whether the API is served over TLS.
func (t TLS) Enabled() bool { return t.SelfSigned || t.Cert != "" }

// Flows are the limits of flow tables and flow operations.
type Flows struct {
	Limit       int `yaml:"limit"`        // flows in the table of one queue
	ResultLimit int `yaml:"result_limit"` // flows kept of one capture or flush on one node
}

// Streams says how TCP connections are followed.
type Streams struct {
	Policy       string `yaml:"policy"`        // what system their receivers are: a name that stream.ParsePolicy takes
	AsyncOneSide bool   `yaml:"async_oneside"` // follow connections of which only one side is seen
	Memory       int    `yaml:"memory"`        // bytes of streams under inspection, of one queue
}

// Limits says what happens to packets that the engine cannot follow: names in LimitPolicies.
type Limits struct {
	Default   string `yaml:"default"`   // of those below that are "auto"
	Flows     string `yaml:"flows"`     // no room for a flow
	Streams   string `yaml:"streams"`   // no memory for a stream
	Fragments string `yaml:"fragments"` // no room for a fragment
	Parsers   string `yaml:"parsers"`   // bytes that are not what their protocol allows
}

// Fragments says how the fragments of datagrams are put together.
type Fragments struct {
	Policy string `yaml:"policy"` // whose bytes overlapping fragments are: a name that defrag.ParsePolicy takes
	Memory int    `yaml:"memory"` // bytes of fragments that wait for others, of one queue
}

// Rules says what rule groups may use.
type Rules struct {
	BeyondAWS bool `yaml:"beyond_aws"` // dataset, datarep, iprep and lists of file digests, which AWS has no place for
}

// Reputation is what iprep asks, in Suricata's formats: absolute paths, of all or none.
type Reputation struct {
	Categories string   `yaml:"categories"`
	Lists      []string `yaml:"lists,flow"`
}

// Attachment says which packets meet a firewall on this node.
type Attachment struct {
	Account  string   `yaml:"account"`  // of the firewall; empty: that of its ARN, else Config.Account
	Firewall string   `yaml:"firewall"` // name or ARN
	Endpoint string   `yaml:"endpoint"` // of the firewall, that these packets meet it at; empty: the zone's primary endpoint
	NFQueue  *NFQueue `yaml:"nfqueue"`
}

// Target returns the account and the name of the firewall that an attachment of
// the configuration is to.
func (c *Config) Target(a Attachment) (account, name string) {
	account, name = cmp.Or(a.Account, c.Account), a.Firewall
	if arn := firewallARN.FindStringSubmatch(a.Firewall); arn != nil {
		account, name = arn[2], arn[3]
	}
	return account, name
}

// NFQueue is a set of queues of the Linux kernel.
type NFQueue struct {
	Queues   string `yaml:"queues"`    // "0-3", "0,2,8-9"
	FailOpen bool   `yaml:"fail_open"` // packets pass while there is no policy or a queue is full
	QueueLen uint32 `yaml:"queue_len"` // undecided packets that the kernel keeps for a queue; 0: 8192
}

// Log is what the processes write to standard error.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text, json
}

// Records says what traffic logs have beside what AWS's have.
type Records struct {
	Payload          bool `yaml:"payload"`           // of packets that rules alert on, in base64
	PayloadPrintable bool `yaml:"payload_printable"` // the same as text
	Packet           bool `yaml:"packet"`            // the whole packet, in base64
	Metadata         bool `yaml:"metadata"`          // of rules, and the variables of flows
	CommunityID      bool `yaml:"community_id"`
	CommunityIDSeed  int  `yaml:"community_id_seed"`
	Stats            int  `yaml:"stats"` // seconds between records of counters in the alert log; 0: none
}

// Delivery says how traffic logs reach the AWS services that their destinations
// name. Without it they are files below LogDir.
type Delivery struct {
	Services   bool   `yaml:"services"`    // send logs to the services
	Endpoint   string `yaml:"endpoint"`    // URL of services that speak AWS's protocols; empty: AWS's own
	Region     string `yaml:"region"`      // of the services; empty: Config.Region
	SpoolLimit int64  `yaml:"spool_limit"` // bytes that wait on disk for one destination; 0: 1 GiB
}

// Store is where records are kept.
type Store struct {
	Endpoints []string `yaml:"endpoints,flow"` // of an etcd that runs elsewhere; none: embedded in serve
}

// Metrics is where /metrics, /healthz and /readyz answer.
type Metrics struct {
	Listen string `yaml:"listen"` // IP address and port; empty: on API.Listen
}

// Default is the configuration of an empty file.
func Default() *Config {
	return &Config{
		Region:    "us-east-1",
		Account:   "000000000000",
		DataDir:   defaultDataDir(os.Geteuid() == 0, os.Getenv, os.UserHomeDir),
		API:       API{Listen: "127.0.0.1:4580"},
		Flows:     Flows{Limit: 1_000_000, ResultLimit: 1_000_000},
		Fragments: Fragments{Policy: defrag.Default.String(), Memory: 32 << 20},
		Streams:   Streams{Policy: stream.Windows.String(), Memory: 256 << 20},
		Limits:    Limits{Default: "auto", Flows: "auto", Streams: "auto", Fragments: "auto", Parsers: "auto"},
		Log:       Log{Level: "info", Format: "text"},
	}
}

// defaultDataDir is a directory that the user can write: that of the system for
// root, that of the XDG base directory specification ($XDG_STATE_HOME) for others.
func defaultDataDir(root bool, getenv func(string) string, home func() (string, error)) string {
	if root {
		return "/var/lib/sluice"
	}
	// The specification says to ignore a relative path.
	if state := getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "sluice")
	}
	dir, err := home()
	if err != nil {
		return "" // refused by validation, which asks for data_dir
	}
	return filepath.Join(dir, ".local", "state", "sluice")
}

// SecretKeyFile is the key under which the secrets of access keys are stored.
func (c *Config) SecretKeyFile() string { return filepath.Join(c.DataDir, "secret.key") }

// StoreDir is the directory of the embedded etcd.
func (c *Config) StoreDir() string { return filepath.Join(c.DataDir, "store") }

// SetsDir has the files of data sets.
func (c *Config) SetsDir() string { return cmp.Or(c.DataSetsDir, filepath.Join(c.DataDir, "datasets")) }

// LogDir has a directory for each log group of the firewalls.
func (c *Config) LogDir() string { return filepath.Join(c.DataDir, "logs") }

// CredentialsFile has the access keys of the API.
func (c *Config) CredentialsFile() string { return filepath.Join(c.DataDir, "credentials") }

// TLSDir has the API's self-signed certificate.
func (c *Config) TLSDir() string { return filepath.Join(c.DataDir, "tls") }

// YAML is the configuration as a file that loads to the same again.
func (c *Config) YAML() ([]byte, error) {
	text, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("config: encode: %w", err)
	}
	return text, nil
}

// Key is one setting.
type Key struct {
	Name string // as in the file, with dots: "api.listen"
	Env  string // its environment variable: "SLUICE_API_LISTEN"
}

// Keys lists all settings in the order of the file. Those below a list (attach)
// or a map (subnets, reference_sets) belong to it and are none of their own.
func Keys() []Key {
	var keys []Key
	eachKey(reflect.ValueOf(new(Config)).Elem(), "", func(k Key, _ reflect.Value) { keys = append(keys, k) })
	return keys
}

// eachKey calls f with every setting below the struct v and the field that has it.
func eachKey(v reflect.Value, prefix string, f func(Key, reflect.Value)) {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		name = prefix + name
		if field := v.Field(i); field.Kind() == reflect.Struct {
			eachKey(field, name+".", f)
		} else {
			f(Key{name, "SLUICE_" + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))}, field)
		}
	}
}
