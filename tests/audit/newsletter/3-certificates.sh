#!/bin/sh
istioctl x create-cert --root-ca --key-size 4096 --validity-days 365 --out certs  # !command-create-cert
kubectl create secret generic cacerts -n istio-system --from-file=certs/ca-cert.pem \
  --from-file=certs/ca-key.pem --from-file=certs/root-cert.pem --from-file=certs/cert-chain.pem
