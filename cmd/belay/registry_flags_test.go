package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/registry"
	"github.com/belay-gitops/belay/sync"
)

// fileOf is a file with a text in it.
func fileOf(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestImagePathsAreReadStrictly(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []manifests.Place
		problem    string
	}{
		{"two", "- {group: x.io, kind: Db, path: spec.image}\n- {kind: Pod, path: \"spec.containers[*].args[*]\", prefix: --image=}\n", []manifests.Place{
			{Group: "x.io", Kind: "Db", Path: "spec.image"}, {Kind: "Pod", Path: "spec.containers[*].args[*]", Prefix: "--image="}}, ""},
		{"none", "", nil, ""},
		{"an unknown field", "- {kind: Db, path: spec.image, paths: x}\n", nil, `unknown field "paths"`},
		{"no list", "kind: Db\n", nil, "it should be a list like that of spec.images.paths"},
		{"a path that is none", "- {kind: Db, path: spec.image}\n- {kind: Db, path: \"spec.[\"}\n", nil, "entry 2: images of Db: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := imagePaths(fileOf(t, test.text))
			if test.problem == "" && err != nil || test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)) {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if places, err := imagePaths(""); places != nil || err != nil {
		t.Errorf("without a file: %v, %v", places, err)
	}
	if _, err := imagePaths("/nowhere/paths.yaml"); err == nil || !strings.HasPrefix(err.Error(), "reading the image paths: open /nowhere") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestAnAgentDoesNotStartWithADockerConfigOfNoUse(t *testing.T) {
	for name, file := range map[string]string{"not there": "/nowhere/config.json", "no JSON": fileOf(t, "hunter2: x")} {
		_, err := registryFlags{dockerConfig: file}.read(nil)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (registryFlags{dockerConfig: fileOf(t, `{"auths": {}}`)}).read(nil); err != nil {
		t.Error(err)
	}
}

// A node's own credential provider, as a shell script. The registry is asked with what it says.
func TestCredentialProvidersAreAsked(t *testing.T) {
	s, r := openShop(t)
	image := s.host + "/cart:1"
	s.push(image)
	s.lock("hunter2")
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	for name, text := range map[string]string{
		"config.yaml": "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: cloud\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n" +
			"  defaultCacheDuration: 1m\n  matchImages: ['" + s.host + "']\n",
		"cloud": "#!/bin/sh\nread -r request\ncat <<EOF\n" + `{"kind": "CredentialProviderResponse", "apiVersion": "credentialprovider.kubelet.k8s.io/v1", ` +
			`"cacheKeyType": "Registry", "auth": {"` + s.host + `": {"username": "ana", "password": "hunter2"}}}` + "\nEOF\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	settings, err := registryFlags{insecure: []string{s.host}, providers: providerFlags{config, dir}}.read(nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.registry, err = registry.New(settings.options); err != nil {
		t.Fatal(err)
	}
	_, resolved, err := r.Pin(t.Context(), sync.PinRequest{Images: podsOf(t, image), Since: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if got := resolved[image].Credentials; got != "credential provider cloud" {
		t.Errorf("with %q", got)
	}
}

func TestTheFlagsOfCredentialProvidersGoTogether(t *testing.T) {
	for _, half := range []providerFlags{{config: "/x"}, {binDir: "/x"}} {
		if _, err := half.read(); err == nil || !strings.Contains(err.Error(), "go together") {
			t.Errorf("%+v: %v", half, err)
		}
	}
	if p, err := (providerFlags{}).read(); p != nil || err != nil {
		t.Errorf("without them: %v, %v", p, err)
	}
}

func TestADockerConfigIsReadAsItIsByNow(t *testing.T) {
	file := fileOf(t, `{"auths": {}}`)
	if got := dockerFile(file).credentials(); len(got) != 1 || got[0].Source != file {
		t.Errorf("got %+v", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got := dockerFile(file).credentials(); len(got) != 1 || got[0].Source != file {
		t.Errorf("once it is gone: %+v", got)
	}
	if got := dockerFile("").credentials(); got != nil {
		t.Errorf("without a file: %+v", got)
	}
}

func TestTheDockerConfigOfTheEnvironmentIsTakenIfItIsThere(t *testing.T) {
	file := fileOf(t, "{}")
	for dir, want := range map[string]string{filepath.Dir(file): file, t.TempDir(): "", "": ""} {
		t.Setenv("DOCKER_CONFIG", dir)
		if got := defaultDockerConfig(); got != want {
			t.Errorf("%s: got %s", dir, got)
		}
	}
}

func TestTheAPIServersNamesAreKnown(t *testing.T) {
	for _, test := range []struct {
		host, service, port string
		want                []string
	}{
		{"https://10.96.0.1:443", "10.96.0.1", "443", []string{"10.96.0.1:443", "10.96.0.1:443"}},
		{"https://api.example.com/k8s/clusters/c-1", "", "", []string{"api.example.com"}},
		{"127.0.0.1:6443", "fd00::1", "", []string{"127.0.0.1:6443", "[fd00::1]:443"}},
	} {
		t.Setenv("KUBERNETES_SERVICE_HOST", test.service)
		t.Setenv("KUBERNETES_SERVICE_PORT", test.port)
		if diff := cmp.Diff(test.want, apiServers(test.host)); diff != "" {
			t.Errorf("%s: %s", test.host, diff)
		}
	}
}
