package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// privateRegistry is a process of Debian's docker-registry that one script or test has to itself. It listens on this
// machine alone and speaks plain HTTP, which an agent has to be told of; see [privateRegistry.declare].
type privateRegistry struct {
	address        string // HOST:PORT, which it keeps over a stop
	dir            string // its configuration, its log and what it stores
	user, password string // empty where everybody may do everything
	tokens         *tokenServer
	process        *exec.Cmd // nil while it is down
}

// access is how a registry is asked to let people in.
type access struct {
	User, Password string
	Tokens         bool // by a token server, as hosted registries do; or else by HTTP's basic authentication
}

// newPrivateRegistry starts a registry; stop ends it.
func newPrivateRegistry(dir string, a access) (*privateRegistry, error) {
	address, err := freeLoopback()
	if err != nil {
		return nil, err
	}
	p := &privateRegistry{address: address, dir: dir, user: a.User, password: a.Password}
	if a.Tokens {
		if p.tokens, err = newTokenServer(p); err != nil {
			return nil, err
		}
	}
	if err := p.configure(); err != nil {
		return nil, err
	}
	return p, p.start()
}

func (p *privateRegistry) path(name string) string { return filepath.Join(p.dir, name) }

func (p *privateRegistry) configure() error {
	text := fmt.Sprintf(`version: 0.1
log: {level: error, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}
http: {addr: %q}
`, p.path("storage"), p.address)
	switch {
	case p.tokens != nil:
		text += fmt.Sprintf("auth: {token: {realm: %q, service: %q, issuer: %q, rootcertbundle: %q}}\n",
			"http://"+p.tokens.host()+"/token", p.address, tokenIssuer, p.tokens.certificate)
	case p.user != "":
		hash, err := bcrypt.GenerateFromPassword([]byte(p.password), bcrypt.MinCost)
		if err != nil {
			return err
		}
		if err := os.WriteFile(p.path("htpasswd"), fmt.Appendf(nil, "%s:%s\n", p.user, hash), 0o600); err != nil {
			return err
		}
		text += fmt.Sprintf("auth: {htpasswd: {realm: private, path: %q}}\n", p.path("htpasswd"))
	}
	return os.WriteFile(p.path("config.yml"), []byte(text), 0o600)
}

// start runs the registry, again after a stop, and returns when it answers.
func (p *privateRegistry) start() error {
	log, err := os.OpenFile(p.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("docker-registry", "serve", p.path("config.yml"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting docker-registry: %w", err)
	}
	p.process = cmd
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		answer, err := http.Get("http://" + p.address + "/v2/")
		if err == nil {
			return answer.Body.Close()
		}
	}
	said, _ := os.ReadFile(p.path("log"))
	return errors.Join(fmt.Errorf("docker-registry does not answer at %s:\n%s", p.address, said), p.stop())
}

// stop kills the registry, which keeps what it stores.
func (p *privateRegistry) stop() error {
	if p.process == nil {
		return nil
	}
	cmd := p.process
	p.process = nil
	if err := cmd.Process.Kill(); err != nil {
		return fmt.Errorf("stopping docker-registry: %w", err)
	}
	cmd.Wait() //nolint:errcheck // it was killed
	return nil
}

// end stops it for good.
func (p *privateRegistry) end() error {
	if p.tokens != nil {
		p.tokens.Close()
	}
	return p.stop()
}

// accessLine is a line of docker-registry's log: method, URI, status and user agent.
var accessLine = regexp.MustCompile(`"([A-Z]+) (\S+) HTTP/[0-9.]+" ([0-9]{3}) .* "([^"]*)"$`)

// asked reads the log: the requests of belay's, each as "METHOD URI STATUS", the oldest first.
func (p *privateRegistry) asked() ([]string, error) {
	text, err := os.ReadFile(p.path("log"))
	if err != nil {
		return nil, err
	}
	var asked []string
	for line := range bytes.Lines(text) {
		fields := accessLine.FindSubmatch(bytes.TrimSpace(line))
		if fields != nil && bytes.HasPrefix(fields[4], []byte("belay")) {
			asked = append(asked, fmt.Sprintf("%s %s %s", fields[1], fields[2], fields[3]))
		}
	}
	return asked, nil
}

// declare says to an agent, in its folder of containerd's kind, that the registry and the server of its tokens speak plain
// HTTP at a private address.
func (p *privateRegistry) declare(certsD string) error {
	hosts := []string{p.address}
	if p.tokens != nil {
		hosts = append(hosts, p.tokens.host())
	}
	for _, host := range hosts {
		dir := filepath.Join(certsD, host)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "hosts.toml"), fmt.Appendf(nil, "server = \"http://%s\"\n", host), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// needDockerRegistry skips a test where there is none.
func needDockerRegistry(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("docker-registry"); err != nil {
		t.Skip("no docker-registry here (Debian package docker-registry); `make test` as root installs it")
	}
}

// TestPrivateRegistriesAreForTheirUserAlone shows that the registries of these tests refuse what they should.
func TestPrivateRegistriesAreForTheirUserAlone(t *testing.T) {
	t.Parallel()
	needDockerRegistry(t)
	for _, tokens := range []bool{false, true} {
		t.Run(fmt.Sprintf("tokens=%t", tokens), func(t *testing.T) {
			p, err := newPrivateRegistry(t.TempDir(), access{User: "ana", Password: "hawser", Tokens: tokens})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.end() }) //nolint:errcheck // it is killed
			for password, let := range map[string]bool{"hawser": true, "hitch": false} {
				out, err := exec.Command(clusterProgram(t), "image", "--registry", p.address, "--name", "acme/app:v1", "--builtin", "pause",
					"--username", "ana", "--password", password).CombinedOutput()
				if (err == nil) != let {
					t.Errorf("pushing with the password %q: %v\n%s", password, err, out)
				}
			}
			answer, err := http.Head("http://" + p.address + "/v2/acme/app/manifests/v1")
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusUnauthorized {
				t.Errorf("without a password: %s", answer.Status)
			}
		})
	}
}
