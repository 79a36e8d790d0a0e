// Command make signs an image with the real cosign, and writes down what cosign left in the registry.
//
//	go run ./registry/testdata/cosign/make.go COSIGN-2 COSIGN-3 registry/testdata/cosign
//
// The arguments are two cosign programs, of versions 2 and 3, and where to write. Nothing but loopback is spoken to.
// Private keys are made anew each time and are not kept.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/tools/txtar"
)

const password = "COSIGN_PASSWORD="

func main() {
	log.SetFlags(0)
	cosign2, cosign3, out := absolute(os.Args[1]), absolute(os.Args[2]), absolute(os.Args[3])
	keys, err := os.MkdirTemp("", "cosign-keys")
	check(err)
	defer os.RemoveAll(keys)
	check(os.Chdir(keys))
	makeKeys(cosign3, out)
	check(os.WriteFile("predicate.json", []byte(`{"scanned":true}`), 0o600))

	offline := []string{"--tlog-upload=false", "--allow-http-registry", "--yes", "--key"}
	classic := append([]string{cosign2, "sign"}, offline...)
	bundle := append([]string{cosign3, "sign", "--use-signing-config=false"}, offline...)
	attest := append([]string{cosign3, "attest", "--use-signing-config=false", "--predicate=predicate.json"}, offline...)
	for _, key := range []string{"cosign", "p384", "p521", "ed25519", "rsa"} {
		record(filepath.Join(out, "classic-"+key), append(classic, key+".key"))
		record(filepath.Join(out, "bundle-"+key), append(bundle, key+".key"))
	}
	record(filepath.Join(out, "classic-two"), append(classic, "other.key"), append(classic, "cosign.key"))
	record(filepath.Join(out, "bundle-two"), append(bundle, "cosign.key"), append(bundle, "other.key"))
	record(filepath.Join(out, "attested"), append(attest, "cosign.key"))
}

// makeKeys makes key pairs, of cosign's default kind and of the kinds it imports, and keeps the public ones.
func makeKeys(cosign, out string) {
	run(cosign, "generate-key-pair", "--output-key-prefix=cosign")
	run(cosign, "generate-key-pair", "--output-key-prefix=other")
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	check(err)
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	check(err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	check(err)
	rivest, err := rsa.GenerateKey(rand.Reader, 2048)
	check(err)
	for kind, key := range map[string]any{"p384": p384, "p521": p521, "ed25519": edwards, "rsa": rivest} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		check(err)
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		check(os.WriteFile(kind+".pem", text, 0o600))
		run(cosign, "import-key-pair", "--yes", "--key="+kind+".pem", "--output-key-prefix="+kind)
	}
	public, err := filepath.Glob("*.pub")
	check(err)
	for _, file := range public {
		text, err := os.ReadFile(file)
		check(err)
		check(os.WriteFile(filepath.Join(out, file), text, 0o644))
	}
}

// record runs commands on an image in a fresh registry, and writes a file with each manifest and each blob that was sent.
func record(file string, commands ...[]string) {
	sent := map[string][]byte{}
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		check(err)
		keep(sent, r, body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	repository, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/cart")
	check(err)
	digest := push(repository)
	for _, command := range commands {
		run(append(command, repository.Digest(digest).Name())...)
	}
	var archive txtar.Archive
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		archive.Files = append(archive.Files, txtar.File{Name: name, Data: append(sent[name], '\n')})
	}
	check(os.WriteFile(file+".txtar", txtar.Format(&archive), 0o644))
}

// push pushes an image that is always the same.
func push(repository name.Repository) string {
	layer := static.NewLayer([]byte("belay"), types.OCILayer)
	image, err := mutate.AppendLayers(mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1), layer)
	check(err)
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{Architecture: "amd64", OS: "linux"})
	check(err)
	check(remote.Write(repository.Tag("1"), image))
	digest, err := image.Digest()
	check(err)
	return digest.String()
}

func keep(sent map[string][]byte, r *http.Request, body []byte) {
	hash, _, err := v1.SHA256(bytes.NewReader(body))
	check(err)
	switch {
	case r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/"):
		sent["manifests/"+path.Base(r.URL.Path)] = body
	case (r.Method == http.MethodPut || r.Method == http.MethodPatch) && len(body) > 0:
		sent["blobs/"+hash.String()] = body
	}
}

func run(command ...string) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), password)
	if text, err := cmd.CombinedOutput(); err != nil {
		log.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, text)
	}
}

func absolute(name string) string {
	full, err := filepath.Abs(name)
	check(err)
	return full
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
