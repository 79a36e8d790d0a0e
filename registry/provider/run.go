package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	api "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
)

// maxAnswer bounds standard output. A token has a few KiB.
const maxAnswer = 1 << 20

var (
	errTimeout = errors.New("no answer in time")
	errTooLong = errors.New("too long an answer")
	errLeft    = errors.New("the caller who ran it has left")
)

// run runs the program: the request comes on standard input, the answer is expected on standard output. Standard error is
// not read. The program is killed, with what it has started, after its time, after too long an answer, and when ctx ends.
func (p *program) run(ctx context.Context, image string) (api.CredentialProviderResponse, error) {
	request, err := json.Marshal(api.CredentialProviderRequest{
		TypeMeta: metav1.TypeMeta{APIVersion: api.SchemeGroupVersion.String(), Kind: "CredentialProviderRequest"},
		Image:    image,
	})
	if err != nil {
		return api.CredentialProviderResponse{}, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, errTimeout)
	defer cancel()

	answer := &bounded{stop: stop}
	command := exec.CommandContext(ctx, p.path, p.args...)
	command.Env = slices.Concat(os.Environ(), p.env)
	command.Stdin = bytes.NewReader(request)
	command.Stdout = answer
	command.WaitDelay = p.grace
	command.Cancel = killGroup(command)
	err = command.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		_ = command.Cancel()
	}
	if err := p.failure(ctx, image, err); err != nil {
		return api.CredentialProviderResponse{}, err
	}
	return parseAnswer(answer.text.Bytes())
}

// failure says how a run has ended, and nothing of what the program said.
func (p *program) failure(ctx context.Context, image string, err error) error {
	var exit *exec.ExitError
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errTimeout):
		return fmt.Errorf("was stopped after %s: %w; see whether it can reach its cloud", p.timeout, errTimeout)
	case errors.Is(cause, errTooLong):
		return fmt.Errorf("has written more than %d KiB; it should write a CredentialProviderResponse", maxAnswer>>10)
	case cause != nil:
		return cause
	case errors.As(err, &exit):
		return fmt.Errorf("has ended with %s for %s; what it wrote can hold secrets and is not shown here, so run it by hand to see it",
			exit.ProcessState, image)
	case errors.Is(err, exec.ErrWaitDelay):
		return errors.New("has left a process behind that holds its standard output; it should wait for what it starts")
	case err != nil:
		return fmt.Errorf("cannot be run: %w", err)
	}
	return nil
}

// parseAnswer reads what a program wrote. No error shows any of it.
func parseAnswer(text []byte) (api.CredentialProviderResponse, error) {
	var answer api.CredentialProviderResponse
	wrong := func(what string) (api.CredentialProviderResponse, error) {
		return api.CredentialProviderResponse{}, errors.New("has given an answer that cannot be used: " + what)
	}
	if json.Unmarshal(text, &answer) != nil {
		return wrong("it should be a CredentialProviderResponse in JSON, with nothing before and after it")
	}
	if answer.Kind != "CredentialProviderResponse" || answer.APIVersion != api.SchemeGroupVersion.String() {
		return wrong("it should be a CredentialProviderResponse of " + api.SchemeGroupVersion.String())
	}
	types := []api.PluginCacheKeyType{api.ImagePluginCacheKeyType, api.RegistryPluginCacheKeyType, api.GlobalPluginCacheKeyType}
	if !slices.Contains(types, answer.CacheKeyType) {
		return wrong("its cacheKeyType should be Image, Registry or Global")
	}
	return answer, nil
}

// bounded keeps what is written, and calls stop when it is too much.
type bounded struct {
	text bytes.Buffer
	stop context.CancelCauseFunc
}

func (b *bounded) Write(text []byte) (int, error) {
	if b.text.Len()+len(text) > maxAnswer {
		b.stop(errTooLong)
		return 0, errTooLong
	}
	return b.text.Write(text)
}
