package cluster

import corev1 "k8s.io/api/core/v1"

// culprit is the container that says most about why a workload failed: one that ended with an error, of the newest
// pod that has one; nil where none has.
func culprit(pods []*corev1.Pod) (pod *corev1.Pod, container corev1.ContainerStatus) {
	for _, candidate := range pods {
		if pod != nil && !pod.CreationTimestamp.Before(&candidate.CreationTimestamp) {
			continue
		}
		for _, c := range containerStatuses(candidate) {
			if failed(c.State) || failed(c.LastTerminationState) && c.State.Running == nil {
				pod, container = candidate, c
				break
			}
		}
	}
	return pod, container
}
