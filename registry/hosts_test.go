// FAULTS, Registry: self-signed TLS.

package registry

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

func TestEndpointsAreThoseOfContainerd(t *testing.T) {
	for _, test := range []struct {
		name, files string
		want        map[string]string // by host, an endpoint a line
	}{
		{
			name: "the default for Docker Hub",
			files: `
-- docker.io/hosts.toml --
server = "https://docker.io"

[host."https://registry-1.docker.io"]
  capabilities = ["pull", "resolve"]
`,
			want: map[string]string{
				"docker.io":       "https://registry-1.docker.io/v2",
				"index.docker.io": "https://registry-1.docker.io/v2",
				"quay.io":         "",
			},
		},
		{
			name: "a local mirror, and one that may only pull",
			files: `
-- docker.io/hosts.toml --
server = "https://registry-1.docker.io"    # Exclude this to not use upstream

[host."https://public-mirror.example.com"]
  capabilities = ["pull"]                  # Requires less trust, won't resolve tag to digest from this host
[host."https://docker-mirror.internal"]
  capabilities = ["pull", "resolve"]
  ca = "docker-mirror.crt"                 # Or absolute path /etc/containerd/certs.d/docker.io/docker-mirror.crt
-- docker.io/docker-mirror.crt --
`,
			want: map[string]string{
				"index.docker.io": "https://docker-mirror.internal/v2 mirror ca\nhttps://registry-1.docker.io/v2",
			},
		},
		{
			name: "a mirror for all registries, and what comes of itself after it",
			files: `
-- _default/hosts.toml --
[host."https://registry.example.com"]
  capabilities = ["pull", "resolve"]
`,
			want: map[string]string{
				"quay.io":              "https://registry.example.com/v2 mirror\nitself",
				"docker.io":            "https://registry.example.com/v2 mirror\nitself",
				"registry.example.com": "https://registry.example.com/v2\nitself",
			},
		},
		{
			name:  "only the mirror",
			files: "-- _default/hosts.toml --\n" + `server = "https://registry.example.com"`,
			want:  map[string]string{"quay.io": "https://registry.example.com/v2 mirror"},
		},
		{
			name: "plain HTTP, where TLS is tried first if something is said of it",
			files: `
-- docker.io/hosts.toml --
server = "https://registry-1.docker.io"

[host."http://192.168.31.250:5000"]
  capabilities = ["pull", "resolve", "push"]
  skip_verify = true
-- quay.io/hosts.toml --
[host."http://192.168.31.250:5000"]
-- ghcr.io/hosts.toml --
[host."http://192.168.31.250:80"]
  skip_verify = true
`,
			want: map[string]string{
				"docker.io": "https://192.168.31.250:5000/v2 mirror skip\nhttp://192.168.31.250:5000/v2 mirror\nhttps://registry-1.docker.io/v2",
				"quay.io":   "http://192.168.31.250:5000/v2 mirror\nitself",
				"ghcr.io":   "http://192.168.31.250:80/v2 mirror skip\nitself",
			},
		},
		{
			name: "every field, in the order of the file",
			files: `
-- registry.corp/hosts.toml --
[host."https://mirror.registry"]
  capabilities = ["pull"]
  ca = "$DIR/etc/mirror.pem"
  [host."https://mirror.registry".header]
    x-custom-2 = ["value1", "value2"]

[host."https://mirror-bak.registry/us"]
  skip_verify = true
  dial_timeout = "1s"

[host."https://test-1.registry"]
  capabilities = ["Pull", "Resolve", "push"]
  ca = ["$DIR/etc/test-1-ca.pem", "$DIR/etc/special.pem"]
  client = [["$DIR/etc/client.cert", "$DIR/etc/client.key"],["$DIR/etc/client.pem", ""]]

[host."https://test-2.registry".header]
  x-custom-1 = "custom header"

[host."https://test-3.registry"]
  client = ["$DIR/etc/client.pem", "$DIR/etc/mirror.pem"]

[host."bare.registry:5000/"]
  client = "$DIR/etc/client.pem"
  not_known_yet = 1

[host."https://non-compliant-mirror.registry/v2/upstream/"]
  override_path = true

[host."https://at-its-root.registry/"]
  override_path = true

[host."https://harbor.registry/v2/proxy/"]

[host."https://harbor.registry/proxy/v2"]
-- etc/mirror.pem --
-- etc/test-1-ca.pem --
-- etc/special.pem --
-- etc/client.cert --
-- etc/client.key --
-- etc/client.pem --
`,
			want: map[string]string{"registry.corp": strings.Join([]string{
				"https://mirror-bak.registry/us/v2 mirror skip",
				"https://test-1.registry/v2 mirror ca 2 clients",
				"https://test-2.registry/v2 mirror X-Custom-1: custom header",
				"https://test-3.registry/v2 mirror 2 clients",
				"https://bare.registry:5000/v2 mirror 1 clients",
				"https://non-compliant-mirror.registry/v2/upstream mirror",
				"https://at-its-root.registry mirror",
				"https://harbor.registry/v2/proxy/v2 mirror",
				"https://harbor.registry/proxy/v2 mirror",
				"itself",
			}, "\n")},
		},
		{
			name: "directories of hosts with a port",
			files: `
-- a.corp_5000_/hosts.toml --
server = "https://one"
-- a.corp:5000/hosts.toml --
server = "https://two"
-- b.corp:5000/hosts.toml --
server = "https://three"
-- [fd00::1]:5000/hosts.toml --
server = "https://four"
-- a.corp/hosts.toml --
server = "https://five"
-- _default/hosts.toml --
server = "https://six"
`,
			want: map[string]string{
				"a.corp:5000":    "https://one/v2 mirror",
				"A.Corp:5000":    "https://one/v2 mirror",
				"b.corp:5000":    "https://three/v2 mirror",
				"[fd00::1]:5000": "https://four/v2 mirror",
				"a.corp":         "https://five/v2 mirror",
				"a.corp:443":     "https://six/v2 mirror",
			},
		},
		{
			name: "a private registry itself",
			files: `
-- registry.corp:5000/hosts.toml --
server = "https://registry.corp:5000"
ca = "ca.crt"
[header]
  x-team = "shop"
-- registry.corp:5000/ca.crt --
-- implied.corp/hosts.toml --
ca = "ca.crt"
-- implied.corp/ca.crt --
-- plain.corp:5000/hosts.toml --
server = "http://plain.corp:5000"
`,
			want: map[string]string{
				"registry.corp:5000": "https://registry.corp:5000/v2 ca X-Team: shop",
				"implied.corp":       "https://implied.corp/v2 ca",
				"plain.corp:5000":    "http://plain.corp:5000/v2",
			},
		},
		{
			name: "Docker's form, which a hosts.toml puts out of use",
			files: `
-- registry.corp:5000/ca.crt --
-- registry.corp:5000/client.cert --
-- registry.corp:5000/client.key --
-- docker.io/corporate.crt --
-- empty.corp/README --
nothing here
-- both.corp/ca.crt --
-- both.corp/hosts.toml --
server = "https://both.corp"
-- zero.corp/ca.crt --
-- zero.corp/hosts.toml --
`,
			want: map[string]string{
				"registry.corp:5000": "https://registry.corp:5000/v2 ca 1 clients",
				"docker.io":          "https://registry-1.docker.io/v2 ca",
				"empty.corp":         "",
				"both.corp":          "https://both.corp/v2",
				"zero.corp":          "https://zero.corp/v2 ca",
			},
		},
		{
			name: "authorities for all hosts, none of which is declared by it",
			files: `
-- _default/hosts.toml --
ca = "corporate.pem"
-- _default/corporate.pem --
`,
			want: map[string]string{"quay.io": "itself ca", "docker.io": "itself ca"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			hosts := Hosts(certsOf(t, test.files))
			got := map[string]string{}
			for host := range test.want {
				endpoints, err := hosts(host)
				if err != nil {
					t.Fatalf("%s: %v", host, err)
				}
				got[host] = describe(endpoints)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error("endpoints (-want +got):\n" + diff)
			}
		})
	}
}

func TestWhatCannotBeReadIsAnErrorOfThatHostAlone(t *testing.T) {
	for _, test := range []struct{ name, files, want string }{
		{"not TOML", `-- bad.corp/hosts.toml --
server = "https://mirror
[host."https://x".header]
authorization = "hunter2`, "bad.corp/hosts.toml: this is not TOML"},
		{"another type", `-- bad.corp/hosts.toml --
server = "https://mirror"
skip_verify = "hunter2"`, "bad.corp/hosts.toml: this is not TOML, or a field has another type than containerd's docs/hosts.md says at line 2"},
		{"a host without a table", `-- bad.corp/hosts.toml --
host = {"https://mirror" = {skip_verify = true}}`, `write [host."https://mirror"]`},
		{"an unknown capability", `-- bad.corp/hosts.toml --
[host."https://mirror"]
capabilities = ["pul"]`, `"pul" is unknown; write some of pull, resolve, push, referrers`},
		{"an unknown capability at the root", `-- bad.corp/hosts.toml --
capabilities = ["resolv"]`, `"resolv" is unknown`},
		{"no host that resolves", `-- bad.corp/hosts.toml --
server = "https://mirror"
capabilities = ["pull"]`, `bad.corp/hosts.toml: no host may resolve tags; add "resolve"`},
		{"no URL", `-- bad.corp/hosts.toml --
server = "https://"`, "write it as https://host[:port][/path]"},
		{"a password in a URL", `-- bad.corp/hosts.toml --
server = "https://robot:hunter2@mirror"`, "the URL of mirror must have a host and a path alone"},
		{"a bad URL with a password", `-- bad.corp/hosts.toml --
server = "https://robot:hunter2@mirror:x"`, "a host is not a URL"},
		{"a CA that is not there", `-- bad.corp/hosts.toml --
ca = "ca.crt"`, "bad.corp/ca.crt: this must be there"},
		{"a CA that is none", `-- bad.corp/hosts.toml --
ca = "ca.txt"
-- bad.corp/ca.txt --
hunter2`, "bad.corp/ca.txt: this holds no certificate in PEM"},
		{"a CA of a wrong type", `-- bad.corp/hosts.toml --
ca = 1`, "ca must be a path or a list of paths"},
		{"a client certificate without its key", `-- bad.corp/hosts.toml --
client = "only.cert"
-- bad.corp/only.cert --`, "this is not a client certificate with its key"},
		{"a client's pair of one", `-- bad.corp/hosts.toml --
client = [["client.pem"]]`, "client must be a path"},
		{"a header that is a number", `-- bad.corp/hosts.toml --
[host."https://mirror".header]
x-n = 1`, "the header x-n must be a string or a list of strings"},
		{"a file in place of the directory", `-- bad.corp --`, "bad.corp: this must be a directory"},
		{"a link out of what is mounted", `-- bad.corp/hosts.toml --
-> /nowhere/hosts.toml`, "bad.corp/hosts.toml: this must be there"},
		{"a directory that links out of what is mounted", `-- bad.corp --
-> /nowhere`, "bad.corp: this must be there"},
	} {
		t.Run(test.name, func(t *testing.T) {
			hosts := Hosts(certsOf(t, test.files+"\n-- good.corp/hosts.toml --\nserver = \"https://mirror\"\n"))
			got, err := hosts("bad.corp")
			if err == nil {
				t.Fatalf("got %s", describe(got))
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want …%s…", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a secret: %v", err)
			}
			for host, want := range map[string]string{"good.corp": "https://mirror/v2 mirror", "other.corp": ""} {
				if got, err := hosts(host); err != nil || describe(got) != want {
					t.Errorf("%s: got %s, %v", host, describe(got), err)
				}
			}
		})
	}
}

func TestAHeaderForAllHostsIsNotSentToAny(t *testing.T) {
	hosts := Hosts(certsOf(t, "-- _default/hosts.toml --\n[header]\nauthorization = \"hunter2\"\n"))
	if got, err := hosts("evil.example.com"); err == nil || !strings.Contains(err.Error(), "write the server") {
		t.Errorf("got %s, %v", describe(got), err)
	}
}

func TestADirectoryThatIsNotThereIsAnError(t *testing.T) {
	if got, err := Hosts(filepath.Join(t.TempDir(), "certs.d"))("quay.io"); err == nil || !strings.Contains(err.Error(), "certs.d: this must be there") {
		t.Errorf("got %s, %v", describe(got), err)
	}
	if got, err := Hosts("")("quay.io"); err != nil || got != nil {
		t.Errorf("without a directory: got %s, %v", describe(got), err)
	}
}

func TestAHostThatIsAPathIsRefused(t *testing.T) {
	hosts := Hosts(certsOf(t, "-- _default/hosts.toml --\nserver = \"https://mirror\"\n"))
	for _, host := range []string{"", "..", "../certs.d", "_default", "a/b", "a.corp_5000_"} {
		if got, err := hosts(host); err == nil {
			t.Errorf("%q: got %s", host, describe(got))
		}
	}
}

// A ConfigMap is mounted as links to a directory that is exchanged as a whole.
func TestAChangeIsSeenAtTheNextQuestion(t *testing.T) {
	dir := certsOf(t, `
-- ..1/hosts.toml --
server = "https://one"
ca = "ca.crt"
-- ..1/ca.crt --
-- ..2/hosts.toml --
server = "https://two"
-- elsewhere/README --
`)
	swap := func(name, to string) {
		t.Helper()
		next := filepath.Join(dir, "..next")
		if err := os.Symlink(to, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	hosts := Hosts(dir)
	expect := func(want string) {
		t.Helper()
		got, err := hosts("quay.io")
		if text := describe(got); err != nil && !strings.Contains(err.Error(), want) || err == nil && text != want {
			t.Errorf("got %q, %v; want %q", text, err, want)
		}
	}
	expect("")
	swap("..data", "..1")
	swap("quay.io", "..data")
	expect("https://one/v2 mirror ca")
	swap("..data", "..2")
	expect("https://two/v2 mirror")
	if err := os.WriteFile(filepath.Join(dir, "..2/hosts.toml"), []byte("server = 3"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("another type")
	swap("..data", "..1")
	expect("https://one/v2 mirror ca")
	if err := os.WriteFile(filepath.Join(dir, "..1/ca.crt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect("ca.crt: this holds no certificate")
	swap("quay.io", "elsewhere")
	expect("")
}

func TestFilesThatStayAsTheyAreAreReadOnce(t *testing.T) {
	dir := certsOf(t, "-- quay.io/hosts.toml --\nserver = \"https://one\"\nca = \"ca.crt\"\n-- quay.io/ca.crt --\n")
	hosts := Hosts(dir)
	first, err := hosts("quay.io")
	if err != nil {
		t.Fatal(err)
	}
	second, err := hosts("quay.io")
	if err != nil {
		t.Fatal(err)
	}
	if first[0].RootCAs != second[0].RootCAs {
		t.Error("the CA was read again")
	}
}

// describe writes an endpoint a line.
func describe(endpoints []Endpoint) string {
	lines := make([]string, len(endpoints))
	for i, e := range endpoints {
		words := []string{"itself"}
		if e.URL != nil {
			words[0] = e.URL.String()
		}
		if e.Mirror {
			words = append(words, "mirror")
		}
		if e.RootCAs != nil {
			words = append(words, "ca")
		}
		if e.Certificates != nil {
			words = append(words, fmt.Sprint(len(e.Certificates), " clients"))
		}
		if e.SkipVerify {
			words = append(words, "skip")
		}
		for name, values := range e.Header {
			words = append(words, name+": "+strings.Join(values, ", "))
		}
		lines[i] = strings.Join(words, " ")
	}
	return strings.Join(lines, "\n")
}

// certsOf writes a txtar archive to a directory, and returns the directory. $DIR in a file is that directory; a file of
// "-> path" is a symbolic link; empty files that are called like certificates and keys get what they should hold.
func certsOf(t *testing.T, archive string) string {
	t.Helper()
	dir := t.TempDir()
	certificate, key := selfSigned(t)
	for _, file := range txtar.Parse([]byte(archive)).Files {
		path := filepath.Join(dir, file.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(file.Data), "$DIR", dir)
		if to, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(strings.TrimSpace(to), path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if text == "" {
			switch filepath.Ext(path) {
			case ".crt", ".cert":
				text = certificate
			case ".key":
				text = key
			case ".pem":
				text = certificate + key
			}
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// selfSigned makes a certificate and its key, in PEM.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "belay test"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}
