package cluster

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// What is read of a container's log: it is the last line that is told.
const (
	lastLines = 10
	lastBytes = 16 << 10
	lastWait  = 2 * time.Second
)

// ending is one time that a container ended, or did not start.
type ending struct {
	container string
	restarts  int32
}

// lastLine is what a container said last.
type lastLine struct {
	text    string
	message string // the finding's, without what the container was given
}

// runs are the reasons of findings whose message may quote the container's command, secrets filled in.
var runs = map[string]bool{"CreateContainerError": true, "RunContainerError": true}

// detailed adds to a finding that is about to fail a release what its container said last. It asks once for each time
// that the container ended. Whatever goes wrong, the line is left out.
func (c *Cluster) detailed(ctx context.Context, found finding, memory *podMemory) finding {
	if found.container == "" || found.pod == nil {
		return found
	}
	status := statusOf(found.pod, found.container)
	key := ending{found.container, status.RestartCount}
	known, asked := memory.line(found.pod.UID, key)
	if !asked {
		known = c.askLastLine(ctx, found, status)
		memory.keepLine(found.pod.UID, key, known)
	}
	if known.message != "" && runs[found.Reason] {
		found.Message = known.message
	}
	if known.text != "" {
		found.Message += fmt.Sprintf("; last log line: %s", known.text)
	}
	return found
}

func statusOf(pod *corev1.Pod, container string) corev1.ContainerStatus {
	for _, c := range containerStatuses(pod) {
		if c.Name == container {
			return c
		}
	}
	return corev1.ContainerStatus{}
}

func (c *Cluster) askLastLine(ctx context.Context, found finding, status corev1.ContainerStatus) lastLine {
	ctx, cancel := context.WithTimeout(ctx, lastWait)
	defer cancel()
	line := lastLine{message: scrubPatterns(found.Message)}
	whole, err := c.wholePod(ctx, found.pod)
	if err != nil {
		return line
	}
	values, known := c.secretValues(ctx, whole)
	if !known {
		return line
	}
	line.message = scrubValues(found.Message, values)
	if started(status) {
		line.text = scrub(c.said(ctx, found.pod, status), values)
	}
	return line
}

// said is the last line of a container's log, or else its termination message. Where the container has ended and was
// not started again it is the current log, otherwise that of the time before.
func (c *Cluster) said(ctx context.Context, pod *corev1.Pod, status corev1.ContainerStatus) string {
	previous := status.State.Terminated == nil && status.LastTerminationState.Terminated != nil
	line := c.tail(ctx, pod, status.Name, previous)
	if line == "" && !previous && status.State.Terminated != nil {
		line = c.tail(ctx, pod, status.Name, true) // it was started again in the meantime
	}
	if end := lastEnd(status); line == "" && end != nil {
		line = lastOf(end.Message, true)
	}
	return line
}

// tail reads the end of a container's log.
func (c *Cluster) tail(ctx context.Context, pod *corev1.Pod, container string, previous bool) string {
	client, err := c.logs()
	if err != nil {
		return ""
	}
	lines, bytes := int64(lastLines), int64(lastBytes)
	stream, err := client.Get().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource("log").
		VersionedParams(&corev1.PodLogOptions{Container: container, Previous: previous, TailLines: &lines, LimitBytes: &bytes}, scheme.ParameterCodec).
		MaxRetries(0).Stream(ctx)
	if err != nil {
		return ""
	}
	defer stream.Close()
	text, err := io.ReadAll(io.LimitReader(stream, lastBytes))
	if err != nil {
		return ""
	}
	return lastOf(string(text), len(text) < lastBytes)
}

// logs is a client for logs, which are no objects.
func (c *Cluster) logs() (*rest.RESTClient, error) {
	config := rest.CopyConfig(c.config)
	config.APIPath, config.GroupVersion = "/api", &corev1.SchemeGroupVersion
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	return rest.RESTClientFor(config)
}

// lastOf is the last line of a text that says something. One that is cut off in the middle is none: half a secret is
// not recognised.
func lastOf(text string, whole bool) string {
	if !whole {
		text = text[:strings.LastIndex(text, "\n")+1]
	}
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	for i := len(lines) - 1; i >= 0; i-- {
		if strings.TrimSpace(lines[i]) != "" {
			return lines[i]
		}
	}
	return ""
}

// line is what was asked before about a container, if it was.
func (m *podMemory) line(pod types.UID, key ending) (lastLine, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.pods[pod]
	if n == nil {
		return lastLine{}, false
	}
	line, asked := n.lines[key]
	return line, asked
}

func (m *podMemory) keepLine(pod types.UID, key ending, line lastLine) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.pods[pod]; n != nil {
		n.lines = map[ending]lastLine{key: line} // those before are not told any more
	}
}
