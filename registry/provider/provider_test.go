//go:build unix

package provider

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	local "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	api "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"github.com/belay-gitops/belay/registry"
)

// response is what the programs here answer: for HOST, with a user name and a password.
const response = `{"kind": "CredentialProviderResponse", "apiVersion": "credentialprovider.kubelet.k8s.io/v1", "cacheKeyType": "Registry", ` +
	`"auth": {"HOST": {"username": "AWS", "password": "hunter2"}}}`

// count adds a line to the file runs each time a program runs, and keeps what it was asked.
const count = `echo run >> "$(dirname "$0")/runs"; cat > "$(dirname "$0")/request"; `

func answer(edit ...string) string {
	return count + "cat <<'END'\n" + strings.NewReplacer(append(edit, "HOST", "registry.example.com")...).Replace(response) + "\nEND\n"
}

// install writes a shell script, and a configuration for it alone.
func install(t *testing.T, script string, edit ...string) (config, bin string) {
	t.Helper()
	bin = t.TempDir()
	write(t, filepath.Join(bin, "test-credential-provider"), "#!/bin/sh\n"+script, 0o700)
	config = filepath.Join(bin, "config.yaml")
	write(t, config, strings.NewReplacer(edit...).Replace(configuration), 0o600)
	return config, bin
}

const configuration = `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: test-credential-provider
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  matchImages: ["registry.example.com", "*.dkr.ecr.*.amazonaws.com"]
  defaultCacheDuration: 10m
  args: [get, credentials]
  env: [{name: REGION, value: eu-central-1}]
`

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// start returns the one program that script is, ready to be asked.
func start(t *testing.T, script string) (p *program, runs func() int) {
	t.Helper()
	config, bin := install(t, script)
	all, err := New(config, bin)
	if err != nil {
		t.Fatal(err)
	}
	return all.(programs)[0], func() int {
		text, err := os.ReadFile(filepath.Join(bin, "runs"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return strings.Count(string(text), "run\n")
	}
}

func TestAnImageIsResolvedWithWhatTheProgramSays(t *testing.T) {
	backend := local.New(local.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if user, password, _ := req.BasicAuth(); user != "AWS" || password != "hunter2" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, req)
	}))
	defer server.Close()
	host := server.Listener.Addr().String()
	image, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.ParseReference(host + "/shop/cart:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image, remote.WithAuth(&authn.Basic{Username: "AWS", Password: "hunter2"})); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}

	config, bin := install(t, answer("HOST", host), "registry.example.com", host)
	provider, err := New(config, bin)
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := registry.New(registry.Options{Insecure: []string{host}, Provider: provider})
	if err != nil {
		t.Fatal(err)
	}
	got, err := resolver.Resolve(t.Context(), []registry.Query{{Image: tag.String()}}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if r := got[tag.String()]; r.Digest != digest.String() || r.Source != "credential provider test-credential-provider" {
		t.Errorf("got %+v, want %s", r, digest)
	}

	var request map[string]any
	text, err := os.ReadFile(filepath.Join(bin, "request"))
	if err != nil || json.Unmarshal(text, &request) != nil {
		t.Fatalf("the request is %s, %v", text, err)
	}
	if diff := cmp.Diff(map[string]any{
		"apiVersion": "credentialprovider.kubelet.k8s.io/v1",
		"kind":       "CredentialProviderRequest",
		"image":      host + "/shop/cart",
	}, request); diff != "" {
		t.Error("request (-want +got):\n" + diff)
	}
}

func TestAFailingProgramIsToldWithItsImageAndWithoutItsWords(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	host := server.Listener.Addr().String()
	config, bin := install(t, "echo hunter2; echo hunter2 >&2; exit 7", "registry.example.com", host)
	provider, err := New(config, bin)
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := registry.New(registry.Options{Insecure: []string{host}, Provider: provider})
	if err != nil {
		t.Fatal(err)
	}
	_, err = resolver.Resolve(t.Context(), []registry.Query{{Image: host + "/cart:1"}}, time.Time{})
	if err == nil || !strings.Contains(err.Error(), "credential provider test-credential-provider has ended with exit status 7 for "+host+"/cart") ||
		strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestOnlyMatchingImagesAreAskedFor(t *testing.T) {
	p, runs := start(t, answer())
	for image, want := range map[string]bool{
		"registry.example.com/cart":                       true,
		"1234.dkr.ecr.eu-central-1.amazonaws.com/cart":    true,
		"registry.example.com:5000/cart":                  false,
		"a.registry.example.com/cart":                     false,
		"dkr.ecr.eu-central-1.amazonaws.com/cart":         false,
		"docker.io/library/nginx":                         false,
		"1234.dkr.ecr.eu-central-1.amazonaws.com.cn/cart": false,
	} {
		if got := p.matches(image); got != want {
			t.Errorf("%s: got %v", image, got)
		}
	}
	if got, err := (programs{p}).Credentials(t.Context(), "docker.io/library/nginx"); got != nil || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	if n := runs(); n != 0 {
		t.Errorf("the program ran %d times", n)
	}
}

func TestTheProgramGetsItsArgumentsAndVariables(t *testing.T) {
	t.Setenv("BELAY_TEST_INHERITED", "yes")
	p, _ := start(t, `[ "$*" = "get credentials" ] && [ "$REGION" = eu-central-1 ] && [ "$BELAY_TEST_INHERITED" = yes ] || exit 1; `+answer())
	if _, err := p.credentials(t.Context(), "registry.example.com/cart"); err != nil {
		t.Error(err)
	}
}

func TestAnAnswerHoldsForWhatItSaysAsLongAsItSays(t *testing.T) {
	type ask struct {
		at    time.Duration
		image string
		runs  int // after it
	}
	const cart, till, other = "registry.example.com/cart", "registry.example.com/till", "1.dkr.ecr.x.amazonaws.com/cart"
	for _, test := range []struct {
		name string
		edit []string
		asks []ask
	}{
		{"by image", []string{`"Registry"`, `"Image"`}, []ask{{0, cart, 1}, {0, cart, 1}, {0, till, 2}, {0, other, 3}, {0, cart, 3}, {0, till, 3}}},
		{"by registry", nil, []ask{{0, cart, 1}, {0, till, 1}, {0, other, 2}, {0, cart, 2}}},
		{"for all", []string{`"Registry"`, `"Global"`}, []ask{{0, cart, 1}, {0, till, 1}, {0, other, 1}}},
		{"the default time", nil, []ask{{0, cart, 1}, {10*time.Minute - 1, cart, 1}, {10 * time.Minute, cart, 2}}},
		{"its own time", []string{`"auth"`, `"cacheDuration": "1h", "auth"`}, []ask{{0, cart, 1}, {time.Hour - 1, cart, 1}, {time.Hour, cart, 2}}},
		{"never", []string{`"auth"`, `"cacheDuration": "0s", "auth"`}, []ask{{0, cart, 1}, {0, cart, 2}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, runs := start(t, answer(test.edit...))
			begin := time.Now()
			for i, ask := range test.asks {
				p.now = func() time.Time { return begin.Add(ask.at) }
				auth, err := p.credentials(t.Context(), ask.image)
				if err != nil || auth["registry.example.com"].Password != "hunter2" {
					t.Fatalf("question %d: got %v, %v", i, auth, err)
				}
				if got := runs(); got != ask.runs {
					t.Errorf("question %d: the program has run %d times, want %d", i, got, ask.runs)
				}
			}
		})
	}
}

func TestWhatHoldsNoLongerIsForgotten(t *testing.T) {
	p, _ := start(t, answer(`"Registry"`, `"Image"`))
	begin := time.Now()
	for i := range 3 {
		p.now = func() time.Time { return begin.Add(time.Duration(i) * time.Hour) }
		if _, err := p.credentials(t.Context(), "registry.example.com/cart"+strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.kept) != 1 {
		t.Errorf("kept: %v", p.kept)
	}
}

func TestAnswersThatCannotBeUsed(t *testing.T) {
	for _, test := range []struct{ name, script, want string }{
		{"not JSON", "echo hunter2", "it should be a CredentialProviderResponse in JSON"},
		{"nothing", "true", "it should be a CredentialProviderResponse in JSON"},
		{"something after it", answer() + "echo hunter2", "with nothing before and after it"},
		{"another version", answer("k8s.io/v1", "k8s.io/v1alpha1"), "it should be a CredentialProviderResponse of credentialprovider.kubelet.k8s.io/v1"},
		{"another kind", answer("CredentialProviderResponse", "Secret"), "it should be a CredentialProviderResponse of"},
		{"another key", answer(`"Registry"`, `"hunter2"`), "its cacheKeyType should be Image, Registry or Global"},
		{"no key", answer(`"Registry"`, `""`), "its cacheKeyType should be Image, Registry or Global"},
		{"a failure", answer() + "echo hunter2 >&2; exit 3", "has ended with exit status 3 for registry.example.com/cart; what it wrote can hold secrets"},
		{"a crash", "kill -SEGV $$", "has ended with signal: segmentation fault"},
		{"too much", "while :; do echo hunter2hunter2hunter2hunter2hunter2hunter2; done", "has written more than 1024 KiB"},
		{"much on standard error", "yes hunter2 | head -c 3000000 >&2; exit 1", "has ended with exit status 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, _ := start(t, test.script)
			auth, err := p.credentials(t.Context(), "registry.example.com/cart")
			if err == nil {
				t.Fatalf("got %v", auth)
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want …%s…", err, test.want)
			}
			if len(p.kept) > 0 || len(p.runs) > 0 {
				t.Errorf("kept %v, under way %v", p.kept, p.runs)
			}
		})
	}
}

func TestAProgramThatHangsIsStopped(t *testing.T) {
	p, _ := start(t, "sleep 600")
	p.timeout = 100 * time.Millisecond
	_, err := p.credentials(t.Context(), "registry.example.com/cart")
	if !errors.Is(err, errTimeout) || !strings.Contains(err.Error(), "was stopped after 100ms") {
		t.Errorf("got %v", err)
	}
}

func TestAProgramIsStoppedWithItsChildren(t *testing.T) {
	p, _ := start(t, `sleep 600 & echo $! > "$(dirname "$0")/writing"; mv "$(dirname "$0")/writing" "$(dirname "$0")/child"; wait`)
	ctx, leave := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if auth, err := p.credentials(ctx, "registry.example.com/cart"); err == nil {
			t.Errorf("got %v", auth)
		}
	})
	var text []byte
	await(t, func() bool {
		var err error
		text, err = os.ReadFile(filepath.Join(filepath.Dir(p.path), "child"))
		return err == nil
	})
	leave()
	group.Wait()
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return gone(child) })
}

func TestAChildThatIsLeftBehindIsStopped(t *testing.T) {
	p, _ := start(t, `sleep 600 & echo $! > "$(dirname "$0")/child"; `+answer())
	p.grace = 100 * time.Millisecond
	_, err := p.credentials(t.Context(), "registry.example.com/cart")
	if err == nil || !strings.Contains(err.Error(), "has left a process behind") {
		t.Errorf("got %v", err)
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(p.path), "child"))
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return gone(child) })
}

// gone tells whether a process is no more, or is dead and nobody has asked for its end.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(stat), ") Z ") || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

func TestWhoLeavesStopsTheProgramAndOthersRunItAgain(t *testing.T) {
	// The first run waits for a file that never comes, the second answers.
	script := `if mkdir "$(dirname "$0")/first"; then echo run >> "$(dirname "$0")/runs"; sleep 600; fi; ` + answer()
	p, runs := start(t, script)
	left := errors.New("shutting down")
	ctx, leave := context.WithCancelCause(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := (programs{p}).Credentials(ctx, "registry.example.com/cart"); !errors.Is(err, left) {
			t.Errorf("who left got %v", err)
		}
	})
	await(t, func() bool { return runs() == 1 })
	impatient, give := context.WithCancel(t.Context())
	give()
	if _, err := p.credentials(impatient, "registry.example.com/cart"); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait got %v", err)
	}
	group.Go(func() {
		if auth, err := p.credentials(t.Context(), "registry.example.com/cart"); err != nil || len(auth) != 1 {
			t.Errorf("who waited got %v, %v", auth, err)
		}
	})
	leave(left)
	group.Wait()
	if n := runs(); n != 2 {
		t.Errorf("the program ran %d times", n)
	}
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatal("this has not happened in 30 s")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestThoseWhoComeTogetherRunItOnce(t *testing.T) {
	for _, test := range []struct {
		name string
		edit []string
		runs int
	}{
		{"by registry", nil, 1},
		{"by image", []string{`"Registry"`, `"Image"`}, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			// The program answers once all have come.
			p, runs := start(t, `while ! [ -e "$(dirname "$0")/go" ]; do sleep 0.01; done; `+answer(test.edit...))
			var coming, group sync.WaitGroup
			for i := range 16 {
				coming.Add(1)
				group.Go(func() {
					coming.Done()
					image := "registry.example.com/cart" + strconv.Itoa(i%4)
					if auth, err := p.credentials(t.Context(), image); err != nil || len(auth) != 1 {
						t.Errorf("got %v, %v", auth, err)
					}
				})
			}
			coming.Wait()
			await(t, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.runs) == 1 })
			write(t, filepath.Join(filepath.Dir(p.path), "go"), "", 0o600)
			group.Wait()
			if got := runs(); got != test.runs {
				t.Errorf("the program ran %d times, want %d", got, test.runs)
			}
		})
	}
}

func TestWhatOneRunSaysOfAnotherImage(t *testing.T) {
	of := func(keyed api.PluginCacheKeyType) run {
		return run{image: "a.com/x", answer: api.CredentialProviderResponse{CacheKeyType: keyed}}
	}
	broken := func(err error) run { return run{image: "a.com/x", err: err} }
	for _, test := range []struct {
		name               string
		run                run
		same, near, remote bool // that image, one of its registry, one of another
	}{
		{"by image", of(api.ImagePluginCacheKeyType), true, false, false},
		{"by registry", of(api.RegistryPluginCacheKeyType), true, true, false},
		{"for all", of(api.GlobalPluginCacheKeyType), true, true, true},
		{"failed", broken(errTooLong), true, false, false},
		{"hung", broken(errTimeout), true, true, true},
		{"left", broken(errLeft), false, false, false},
	} {
		for image, want := range map[string]bool{"a.com/x": test.same, "a.com/y": test.near, "b.com/x": test.remote} {
			if got := test.run.concerns(image); got != want {
				t.Errorf("%s: %s: got %v", test.name, image, got)
			}
		}
	}
}

func TestSeveralProgramsAreAskedTogether(t *testing.T) {
	one, _ := start(t, answer(`"HOST": {`, `"registry.example.com/cart": {"username": "one", "password": "1"}, "registry.example.com": {`))
	two, _ := start(t, answer("AWS", "two"))
	broken, _ := start(t, "exit 1")
	none, _ := start(t, answer(`{"HOST": {"username": "AWS", "password": "hunter2"}}`, "null"))
	for _, test := range []struct {
		name   string
		all    programs
		source string
		err    bool
	}{
		{"both", programs{one, two}, "credential provider test-credential-provider and test-credential-provider", false},
		{"one fails", programs{broken, two}, "credential provider test-credential-provider", false},
		{"one has nothing", programs{none, two}, "credential provider test-credential-provider", false},
		{"none has anything", programs{none}, "", false},
		{"all fail", programs{broken, none}, "", true},
	} {
		got, err := test.all.Credentials(t.Context(), "registry.example.com/cart")
		if test.err != (err != nil) {
			t.Errorf("%s: got %v", test.name, err)
		}
		if test.source == "" && got != nil || test.source != "" && (got == nil || got.Source != test.source) {
			t.Errorf("%s: got %+v", test.name, got)
		}
	}
}

func TestAConfigurationThatTheKubeletWouldRefuse(t *testing.T) {
	const name = "name: test-credential-provider"
	for _, test := range []struct{ name, old, new, want string }{
		{"another kind", "kind: CredentialProviderConfig", "kind: KubeletConfiguration", "and kind: CredentialProviderConfig"},
		{"another version", "kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v1alpha1", "write apiVersion: kubelet.config.k8s.io/v1"},
		{"an unknown field", "args:", "arguments:", `unknown field "arguments"`},
		{"a field twice", "  args:", "  name: x\n  args:", "already set"},
		{"not YAML", "providers:", "providers: [", "this should be a CredentialProviderConfig"},
		{"no providers", configuration[strings.Index(configuration, "providers:"):], "providers: []", "there are no providers"},
		{"a path", name, "name: ../test-credential-provider", "name must be the file name of a program"},
		{"dots", name, "name: ..", "name must be the file name of a program"},
		{"a space", name, "name: test credential", "name must be the file name of a program"},
		{"no name", name, `name: ""`, "name must be the file name of a program"},
		{"no such program", name, "name: other", "there must be an executable file"},
		{"a file that is no program", name, "name: config.yaml", "there must be an executable file"},
		{"another protocol", "credentialprovider.kubelet.k8s.io/v1", "credentialprovider.kubelet.k8s.io/v1beta1",
			"apiVersion must be credentialprovider.kubelet.k8s.io/v1"},
		{"no images", `["registry.example.com", "*.dkr.ecr.*.amazonaws.com"]`, "[]", "matchImages must name at least one registry"},
		{"an image that is a URL", `"registry.example.com"`, `"https://registry.example.com"`, "matchImages: "},
		{"an image that is no glob", `"registry.example.com"`, `"[a.example.com"`, "matchImages: "},
		{"no time", "  defaultCacheDuration: 10m\n", "", "defaultCacheDuration must be there"},
		{"a negative time", "10m", "-10m", "defaultCacheDuration must be there and not negative"},
		{"a time that is none", "10m", "soon", "this should be a CredentialProviderConfig"},
		{"tokens", "  args:", "  tokenAttributes: {serviceAccountTokenAudience: x, cacheType: Token, requireServiceAccount: true}\n  args:",
			"tokenAttributes are not supported"},
		{"a variable without a name", "name: REGION", `name: ""`, "is not the name of a variable"},
		{"one twice", "- name", configuration[strings.Index(configuration, "- name"):] + "- name", "is there twice"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config, bin := install(t, answer(), test.old, test.new)
			if _, err := New(config, bin); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), config) {
				t.Errorf("got %v, want %s: …%s…", err, config, test.want)
			}
		})
	}
}

func TestADirectoryOfConfigurationsIsReadInOrder(t *testing.T) {
	config, bin := install(t, answer())
	dir := t.TempDir()
	if _, err := New(dir, bin); err == nil || !strings.Contains(err.Error(), "has no *.yaml, *.yml or *.json file") {
		t.Errorf("empty: got %v", err)
	}
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "b.yaml"), string(text), 0o600)
	write(t, filepath.Join(dir, "a.yml"), strings.ReplaceAll(string(text), "name: test-", "name: first-"), 0o600)
	write(t, filepath.Join(dir, "README"), "not read", 0o600)
	write(t, filepath.Join(bin, "first-credential-provider"), "#!/bin/sh\n", 0o700)
	all, err := New(dir, bin)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range all.(programs) {
		names = append(names, p.name)
	}
	if diff := cmp.Diff([]string{"first-credential-provider", "test-credential-provider"}, names); diff != "" {
		t.Error("programs (-want +got):\n" + diff)
	}
}
