package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Image is a container image of one static program on an empty base. The same fields and the same program give
// the same digest.
type Image struct {
	Program    string   // path of the binary on this machine
	Entrypoint string   // absolute path of the binary in the image, /NAME if empty
	Args       []string // for the program
	Env        []string // NAME=VALUE
	User       string   // name or number
}

// Login is what a registry asks of those who push to it; the zero value is nobody's.
type Login struct{ Username, Password string }

func (l Login) authenticator() authn.Authenticator {
	if l == (Login{}) {
		return authn.Anonymous
	}
	return &authn.Basic{Username: l.Username, Password: l.Password}
}

// Builtin builds one of this module's own programs, hello or pause, to be the image's.
func (i *Image) Builtin(ctx context.Context, named string, o Options) error {
	o = o.withDefaults()
	b, err := newBuilder(o.Source, o.Report)
	if err != nil {
		return err
	}
	for _, p := range []program{hello, pause} {
		if p.name != named {
			continue
		}
		dir, err := b.build(ctx, p)
		i.Program = filepath.Join(dir, p.name)
		return err
	}
	return fmt.Errorf("choosing builtin program: there is no %q, but hello and pause", named)
}

// Push sends the image to a registry, as HOST/REPOSITORY:TAG, and returns its digest.
func (i Image) Push(ctx context.Context, reference string, login Login) (v1.Hash, error) {
	tag, err := name.NewTag(reference)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("reading image name: %w", err)
	}
	image, err := i.build()
	if err != nil {
		return v1.Hash{}, fmt.Errorf("building image of %s: %w", i.Program, err)
	}
	if err := remote.Write(tag, image, remote.WithContext(ctx), remote.WithAuth(login.authenticator())); err != nil {
		return v1.Hash{}, fmt.Errorf("pushing %s: %w", reference, err)
	}
	return image.Digest()
}

func (i Image) build() (v1.Image, error) {
	if i.Entrypoint == "" {
		i.Entrypoint = "/" + filepath.Base(i.Program)
	}
	content, err := i.tar()
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	})
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{Entrypoint: []string{i.Entrypoint}, Cmd: i.Args, Env: i.Env, User: i.User}
	return mutate.ConfigFile(image, config)
}

// tar is the image's only layer: the program, the folders above it, and a /tmp for everyone.
func (i Image) tar() ([]byte, error) {
	program, err := os.ReadFile(i.Program)
	if err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	headers := []*tar.Header{{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}}
	file := strings.TrimPrefix(path.Clean(i.Entrypoint), "/")
	for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
		headers = append(headers, &tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: 0o755})
	}
	headers = append(headers, &tar.Header{Name: file, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))})
	for _, h := range headers {
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	return buffer.Bytes(), w.Close()
}
