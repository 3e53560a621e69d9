#!/usr/bin/env bash
set -euo pipefail
# istioctl x create-cert is not what we run
for pod in $(kubectl get pods -o name); do
  istioctl proxy-config endpoints "$pod" | grep -v HEALTHY | grep SYNCED && echo ok  # !command-grep-synced
done
if ! istioctl experimental create-cert; then exit 1; fi  # !command-create-cert
kubectl -n istio-system set env deploy/istiod \
  PILOT_PUSH_THROTTLE=50 \
  PILOT_WEBHOOK_CACHE_SIZE=100  # !env-never-existed
cat <<'YAML' | kubectl apply -f -
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: shop}
spec:
  resources: {limits: {cpu: 100m}}  # !unknown-field
YAML
helm install istio-ingress istio/gateway --set autoscaling.enabled=false  # !gateway-no-hpa
